import { SPARE_CONNECTIONS } from '../postgres/connection-defaults.js';
import { LEDGER_SETTINGS } from '../config/ledger-settings.js';
import { ALWAYS_FULL_SHARE, CONNECTIONS_PER_WORKER, MIN_BATCHES } from './advice-thresholds.js';
import type { AdviceEnvironment, ChangedSetting } from './finding.interface.js';
import type { WindowFacts } from './stats-window.js';

/** Settings of the ledger that advice may change. */
export type LedgerKnob = Exclude<ChangedSetting, 'max_connections' | 'instances'>;

/** The input of all rules: a window, the environment, and figures derived from both. @internal */
export interface Situation {
  readonly window: WindowFacts;
  readonly environment: AdviceEnvironment;
  /** Values in force; the number of running workers, not the requested one. */
  readonly settings: Readonly<Record<LedgerKnob, number>>;
  /** Required entries a second: the target if it is above the offered rate. */
  readonly demandPerSecond: number;
  readonly peakPerSecond: number;
  /** Entries a second of a busy worker; 0 if none was seen writing. */
  readonly workerPerSecond: number;
  /** The guide's `min(cores, max_connections / 10)`, at least 1; undefined if both are unknown. */
  readonly workerLimit: number | undefined;
  readonly instances: number;
  /** Connections of one process. */
  readonly poolSize: number;
  readonly isAlwaysFull: boolean;
  /** Writes were attempted, but none was committed. */
  readonly isOutage: boolean;
  /** Settings that the ledger tunes itself; advice names no value for them. */
  readonly isAuto: ReadonlySet<LedgerKnob>;
  /**
   * Entries that are not next are on disk, so `journalMaxBytes` is the bound and not `bufferSize`.
   */
  readonly isOnDisk: boolean;
}

/** @internal */
export function situationOf(window: WindowFacts, environment: AdviceEnvironment): Situation {
  const { last, batches, batchCount, flushMs, entriesPerFlush, flushes } = window;
  const settings = {
    batchSize: last.auto?.batch ?? settingIn(window, 'batchSize'),
    flushMs: last.auto?.delayMs ?? settingIn(window, 'flushMs'),
    bufferSize: last.capacity,
    bufferMaxBytes: settingIn(window, 'bufferMaxBytes'),
    numWorkers: last.workers.total,
  };
  const { targetRate = 0, instances = 1 } = environment;
  const retries = Object.values(window.retries).reduce((sum, count) => sum + count, 0);
  return {
    window,
    environment,
    settings,
    demandPerSecond: Math.max(targetRate, window.demandPerSecond),
    peakPerSecond: Math.max(targetRate, window.peakPerSecond),
    workerPerSecond: flushMs === 0 ? 0 : (entriesPerFlush * 1000) / flushMs,
    workerLimit: workerLimitOf(environment),
    instances,
    poolSize: environment.poolSize ?? settings.numWorkers + SPARE_CONNECTIONS,
    isAlwaysFull: batchCount >= MIN_BATCHES && batches.full >= batchCount * ALWAYS_FULL_SHARE,
    isOutage: last.state === 'halted' || (flushes === 0 && retries > 0),
    isAuto: autoIn(last.settings),
    isOnDisk: last.settings['overflow']?.value === 'disk' && last.journal?.state !== 'degraded',
  };
}

/**
 * A writer of a stream does not tune: it keeps the initial figures of `auto`, and a person may set
 * others.
 */
function autoIn(settings: WindowFacts['last']['settings']): ReadonlySet<LedgerKnob> {
  if (settings['role']?.value === 'writer') return new Set();
  const names = Object.keys(settings).filter((name) => settings[name]?.value === 'auto');
  return new Set(names as LedgerKnob[]);
}

function settingIn({ last }: WindowFacts, name: 'batchSize' | 'flushMs' | 'bufferMaxBytes') {
  const inForce = last.settings[name]?.value;
  return typeof inForce === 'number' ? inForce : LEDGER_SETTINGS[name].default;
}

function workerLimitOf({ cores, maxConnections, instances = 1 }: AdviceEnvironment) {
  if (cores === undefined && maxConnections === undefined) return undefined;
  const byServer =
    maxConnections === undefined
      ? Number.POSITIVE_INFINITY
      : maxConnections / CONNECTIONS_PER_WORKER / instances;
  return Math.max(1, Math.floor(Math.min(cores ?? Number.POSITIVE_INFINITY, byServer)));
}
