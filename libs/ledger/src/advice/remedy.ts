import { RESERVED_CONNECTIONS, SPARE_CONNECTIONS } from '../postgres/connection-defaults.js';
import { LEDGER_SETTINGS } from '../config/ledger-settings.js';
import { grouped } from '../config/setting-values.js';
import {
  BURST_SECONDS,
  BUSY_EVENT_LOOP,
  CHEAP_FLUSH_MS,
  LARGEST_STEP,
  LARGEST_USEFUL_BATCH,
  SHORT_OF_TIME,
  SLOW_FLUSH_MS,
} from './advice-thresholds.js';
import type { Finding, SettingChange } from './finding.interface.js';
import { roundDown, roundUp } from './figures.js';
import type { LedgerKnob, Situation } from './situation.js';

/** The bottleneck, its remedy, and the remedy's text. @internal */
export type Remedy = Pick<Finding, 'constraint' | 'remedy' | 'change'>;

/** Minimum factor by which a batch grows. */
const WORTHWHILE = 1.25;

/** With `overflow: 'disk'`. No figure, because only the operator knows the disk's size. */
const MORE_JOURNAL = 'raise journalMaxBytes if the disk has room';

/**
 * The remedy for a channel that fills: for the first of server, connections, event loop, workers
 * and batches that is exhausted, else the channel's bound, because it was a burst.
 *
 * @internal
 */
export function relieveChannel(situation: Situation): Remedy {
  const { window, environment } = situation;
  if (window.retries.too_many_connections > 0) return freeConnections(situation);
  if (situation.isOutage) return rideOutOutage(situation);
  if ((environment.eventLoopUtilization ?? 0) >= BUSY_EVENT_LOOP) return relieveLoop(situation);
  if (window.busyShare >= SHORT_OF_TIME) return writeFaster(situation);
  return growBuffer(situation);
}

/**
 * In this order: larger batches at almost no cost, more workers up to the formula's limit, larger
 * batches with longer flushes, and finally the server.
 *
 * @internal
 */
export function writeFaster(situation: Situation): Remedy {
  const { settings, workerLimit, workerPerSecond, demandPerSecond, window } = situation;
  const { numWorkers } = settings;
  const batch = growBatch(situation);
  if (batch !== null && situation.isAlwaysFull && window.flushMs <= CHEAP_FLUSH_MS) {
    return raise('batch', batch);
  }
  if (!situation.isAuto.has('numWorkers') && numWorkers < (workerLimit ?? numWorkers + 1)) {
    const needed = workerPerSecond > 0 ? Math.ceil(demandPerSecond / workerPerSecond) : 0;
    const to = clamp(needed, numWorkers + 1, workerLimit ?? numWorkers * LARGEST_STEP);
    return raise('workers', knob('numWorkers', numWorkers, to));
  }
  if (batch !== null) return raise('batch', batch);
  const rate = grouped(Math.round(situation.window.settledPerSecond));
  return {
    constraint: 'database',
    remedy:
      `the server takes no more than ${rate} entries/s from ${numWorkers} workers: look at its ` +
      'disk, locks and indexes, then spread the load over more databases',
    change: null,
  };
}

/** The largest batch whose flush stays below the guide's limit; null if it can't grow. */
export function growBatch({ settings, window, isAuto }: Situation): SettingChange | null {
  if (isAuto.has('batchSize')) return null;
  const { batchSize, bufferSize, numWorkers } = settings;
  const factor = clamp(SLOW_FLUSH_MS / Math.max(window.flushMs, 1), 0, LARGEST_STEP);
  const most = Math.min(LARGEST_USEFUL_BATCH, bufferSize / numWorkers);
  const to = roundDown(Math.min(batchSize * factor, most));
  return to >= batchSize * WORTHWHILE ? knob('batchSize', batchSize, to) : null;
}

/** Room for the peak during the burst, by entries or by bytes, whichever is too small. */
export function growBuffer(situation: Situation): Remedy {
  if (situation.isOnDisk) return { constraint: 'buffer', remedy: MORE_JOURNAL, change: null };
  const { settings, window } = situation;
  const { bufferSize, bufferMaxBytes } = settings;
  const { depth, inFlight, bytes } = window.last;
  // The bound that was reached was too small, whatever the formula says.
  const entries = Math.max(burstOf(situation), bufferSize * 2);
  if (situation.isAuto.has('bufferSize') || bytes / bufferMaxBytes > depth / bufferSize) {
    const rowBytes = bytes / Math.max(1, depth + inFlight);
    const to = roundUp(
      clamp(entries * rowBytes, bufferMaxBytes * 2, bufferMaxBytes * LARGEST_STEP),
    );
    return raise('buffer', knob('bufferMaxBytes', bufferMaxBytes, to));
  }
  const to = roundUp(Math.min(entries, bufferSize * LARGEST_STEP));
  return raise('buffer', knob('bufferSize', bufferSize, to));
}

/** Entries that the channel should hold: those of a burst or of one flush, whichever is more. */
export function burstOf({ environment, peakPerSecond, window }: Situation): number {
  const seconds = Math.max(environment.burstSeconds ?? BURST_SECONDS, window.flushMs / 1000);
  return peakPerSecond * seconds;
}

function rideOutOutage(situation: Situation): Remedy {
  const { demandPerSecond, settings, window, isOnDisk, isAuto } = situation;
  const { reason, oldestEntryAgeMs } = window.last;
  const why = reason === null ? '' : ` (${reason})`;
  if (isOnDisk) {
    const remedy = `bring the server back${why}; ${MORE_JOURNAL}, to ride out such an outage`;
    return { constraint: 'database', remedy, change: null };
  }
  const heldFor = demandPerSecond * (oldestEntryAgeMs / 1000) * 2;
  const change = isAuto.has('bufferSize')
    ? knob('bufferMaxBytes', settings.bufferMaxBytes, settings.bufferMaxBytes * 2)
    : knob('bufferSize', settings.bufferSize, roundUp(Math.max(heldFor, settings.bufferSize * 2)));
  const longer = change === null ? '' : `; ${wordsOf(change)} to ride out such an outage`;
  return { constraint: 'database', remedy: `bring the server back${why}${longer}`, change };
}

/** Another process: the event loop is one thread, and no setting of the ledger adds one. */
export function relieveLoop({ instances }: Situation): Remedy {
  const change = { setting: 'instances', from: instances, to: instances + 1 } as const;
  return {
    constraint: 'event-loop',
    remedy: `run ${change.to} instances instead of ${instances}, or take work off the event loop`,
    change,
  };
}

/** Fewer workers, the guide's first remedy; with one worker it takes more connections. */
export function freeConnections(situation: Situation): Remedy {
  const { settings, environment, instances, poolSize } = situation;
  const { numWorkers } = settings;
  const { maxConnections } = environment;
  const needed = instances * poolSize + RESERVED_CONNECTIONS;
  const raised = roundUp(Math.max(needed, (maxConnections ?? 0) * 1.25));
  const otherwise = `raise max_connections to ${grouped(raised)}, or put PgBouncer in between`;
  if (numWorkers > 1 && !situation.isAuto.has('numWorkers')) {
    const fits =
      maxConnections === undefined
        ? numWorkers / 2
        : (maxConnections - RESERVED_CONNECTIONS) / instances - SPARE_CONNECTIONS;
    const change = knob('numWorkers', numWorkers, clamp(Math.floor(fits), 1, numWorkers - 1))!;
    return { constraint: 'connections', remedy: `${wordsOf(change)}, or ${otherwise}`, change };
  }
  const change = { setting: 'max_connections', from: maxConnections ?? 0, to: raised } as const;
  return { constraint: 'connections', remedy: otherwise, change };
}

/** A remedy that raises a setting; `change` is null at the end of its range. */
export function raise(constraint: Remedy['constraint'], change: SettingChange | null): Remedy {
  if (change !== null) return { constraint, remedy: wordsOf(change), change };
  return { constraint, remedy: 'spread the load over more instances', change };
}

/** Clamped to the setting's range; null if the value does not change. */
export function knob(setting: LedgerKnob, from: number, wanted: number): SettingChange | null {
  const { min, max } = LEDGER_SETTINGS[setting];
  const to = clamp(Math.round(wanted), min, max);
  return to === from ? null : { setting, from, to };
}

/** `raise numWorkers from 2 to 4` */
export function wordsOf({ setting, from, to }: SettingChange): string {
  const verb = to > from ? 'raise' : 'lower';
  return `${verb} ${setting} from ${grouped(from)} to ${grouped(to)}`;
}

function clamp(value: number, least: number, most: number): number {
  return Math.max(least, Math.min(most, value));
}
