import { LEDGER_PROFILES } from '../config/ledger-profiles.js';
import { LEDGER_SETTINGS } from '../config/ledger-settings.js';
import { grouped } from '../config/setting-values.js';
import {
  CONNECTIONS_PER_WORKER,
  GOOD_WORKER_RATE,
  LARGEST_USEFUL_BATCH,
  SLOW_FLUSH_MS,
} from './advice-thresholds.js';
import { roundUp } from './figures.js';

/** Upper end of each row of the guide's table, in entries a second; above the last: shards. */
const ROWS: readonly (readonly [keyof typeof LEDGER_PROFILES, number])[] = [
  ['low', 100],
  ['medium', 1_000],
  ['high', 10_000],
  ['very-high', 100_000],
  ['ultra', 1_000_000],
];

/**
 * Planned bytes of a waiting row. Source: the benchmark's small and large entries take 130 and 270
 * bytes encoded.
 */
const ROW_BYTES = 300;

/**
 * Planned share of the workers' time at the peak: 1.25 times the rate must be possible, so that a
 * backlog can be written.
 */
const PLANNED_BUSY = 0.8;

/** The settings of tuning. @internal */
export type TunedSettings = Readonly<
  Record<'batchSize' | 'flushMs' | 'bufferSize' | 'numWorkers' | 'bufferMaxBytes', number>
>;

/**
 * A server's measured rate with a number of connections, each writing batches of one size.
 * @internal
 */
export interface MeasuredStep {
  readonly workers: number;
  readonly batchSize: number;
  /** Of all workers together. */
  readonly entriesPerSecond: number;
  /** Mean of one batch. */
  readonly flushMs: number;
}

/** The required rate, and known facts about machine and server. @internal */
export interface TuneDemand {
  /** Entries a second at the peak, over all instances. */
  readonly qps: number;
  /** Seconds of the peak that the channel should hold. */
  readonly burstSeconds: number;
  readonly instances: number;
  readonly cores: number;
  /** Undefined without a server. */
  readonly maxConnections?: number | undefined;
  /** Empty without a server. */
  readonly measured: readonly MeasuredStep[];
}

/** @internal */
export interface Recommendation {
  /** For each instance. */
  readonly settings: TunedSettings;
  /** One clause for each setting. */
  readonly reasons: Readonly<Record<keyof TunedSettings, string>>;
  /** Limits that settings can't remove; empty if the rate is possible as far as known. */
  readonly warnings: readonly string[];
}

/**
 * The guide's `min(cores, max_connections / 10)` for one of several instances, at least 1.
 *
 * @internal
 */
export function workerLimitFor({ cores, maxConnections, instances }: TuneDemand): number {
  const byServer = (maxConnections ?? Infinity) / CONNECTIONS_PER_WORKER / instances;
  return Math.max(
    1,
    Math.min(LEDGER_SETTINGS.numWorkers.max, Math.floor(Math.min(cores, byServer))),
  );
}

/**
 * Settings for a rate: from measurements, else from the guide's table and formulas. Pure.
 *
 * @internal
 */
export function recommendSettings(demand: TuneDemand): Recommendation {
  const { instances, burstSeconds } = demand;
  const rate = demand.qps / instances;
  const warnings: string[] = [];
  const { name, row } = rowFor(rate);
  const writing =
    demand.measured.length > 0 ? fromMeasured(demand, warnings) : fromTable(demand, warnings);
  const { batchSize, numWorkers } = writing;
  const wanted = roundUp(Math.max(rate * burstSeconds, batchSize * numWorkers));
  const bufferSize = within('bufferSize', wanted, warnings);
  const bytes = Math.max(LEDGER_SETTINGS.bufferMaxBytes.default, bufferSize * ROW_BYTES);
  const bufferMaxBytes = within('bufferMaxBytes', Math.ceil(bytes / MIB) * MIB, warnings);
  if (rate > 1_000_000) {
    warnings.push('above 1,000,000 entries/s: use several databases, or another kind of store');
  }
  const each = instances > 1 ? ` an instance (${instances} of them)` : '';
  return {
    settings: { batchSize, flushMs: row.flushMs, bufferSize, numWorkers, bufferMaxBytes },
    reasons: {
      batchSize: writing.batchReason,
      flushMs: `row ${name} of the table: at ${grouped(rate)} entries/s${each} a batch is full after ${grouped(Math.max(1, Math.round((batchSize * 1000) / rate)))} ms`,
      bufferSize:
        rate * burstSeconds >= batchSize * numWorkers
          ? `peak rate x burst: ${grouped(rate)} entries/s x ${burstSeconds} s`
          : `a full batch for each worker: ${grouped(batchSize)} x ${numWorkers}`,
      numWorkers: writing.workerReason,
      bufferMaxBytes: `${ROW_BYTES} bytes for each of ${grouped(bufferSize)} entries, at least the default`,
    },
    warnings,
  };
}

const MIB = 1_048_576;

interface Writing {
  readonly batchSize: number;
  readonly numWorkers: number;
  readonly batchReason: string;
  readonly workerReason: string;
}

function rowFor(rate: number) {
  const [name] = ROWS.find(([, upTo]) => rate <= upTo) ?? ROWS.at(-1)!;
  return { name, row: LEDGER_PROFILES[name] };
}

function fromTable(demand: TuneDemand, warnings: string[]): Writing {
  const rate = demand.qps / demand.instances;
  const { name, row } = rowFor(rate);
  const limit = workerLimitFor(demand);
  const numWorkers = Math.min(row.numWorkers, limit);
  const reach = numWorkers * GOOD_WORKER_RATE;
  if (reach < rate) {
    warnings.push(
      `${numWorkers} workers reach some ${grouped(reach)} of ${grouped(rate)} entries/s at the ` +
        `guide's ${grouped(GOOD_WORKER_RATE)} a worker: measure it with --database-url`,
    );
  }
  return {
    batchSize: row.batchSize,
    numWorkers,
    batchReason: `row ${name} of the table`,
    workerReason:
      numWorkers < row.numWorkers
        ? `min(cores, max_connections / 10) is ${limit}; row ${name} has ${row.numWorkers}`
        : `row ${name} of the table, not above min(cores, max_connections / 10)`,
  };
}

/** The fewest workers, and then the smallest batch, that reach the rate with a reserve. */
function fromMeasured(demand: TuneDemand, warnings: string[]): Writing {
  const needed = demand.qps / PLANNED_BUSY;
  const steps = [...demand.measured].sort(
    (a, b) => a.workers - b.workers || a.batchSize - b.batchSize,
  );
  const reaching = steps.filter(({ entriesPerSecond }) => entriesPerSecond >= needed);
  const best = steps.reduce((a, b) => (b.entriesPerSecond > a.entriesPerSecond ? b : a));
  const chosen = reaching.find(({ flushMs }) => flushMs <= SLOW_FLUSH_MS) ?? reaching[0] ?? best;
  const { entriesPerSecond, workers, batchSize, flushMs } = chosen;
  const measured =
    `measured ${grouped(Math.round(entriesPerSecond))} entries/s, ` +
    `${grouped(Math.round(flushMs * 10) / 10)} ms a batch`;
  if (entriesPerSecond < demand.qps) {
    warnings.push(
      `the server took at most ${grouped(Math.round(entriesPerSecond))} of ` +
        `${grouped(demand.qps)} entries/s: look at its disk and CPU, or use several databases`,
    );
  } else if (entriesPerSecond < needed) {
    warnings.push(
      `the server reaches the rate with less than a fifth to spare: a backlog shrinks slowly`,
    );
  }
  const workersEach = Math.ceil(workers / demand.instances);
  return {
    batchSize: Math.min(batchSize, LARGEST_USEFUL_BATCH),
    numWorkers: workersEach,
    batchReason: measured,
    workerReason:
      chosen === best && reaching.length === 0
        ? `the highest rate that was measured, with ${workers} at once`
        : `the fewest that reach ${grouped(Math.round(needed))} entries/s (busy ${PLANNED_BUSY * 100} % of the time)`,
  };
}

function within(
  setting: 'bufferSize' | 'bufferMaxBytes',
  wanted: number,
  warnings: string[],
): number {
  const { max } = LEDGER_SETTINGS[setting];
  if (wanted <= max) return wanted;
  warnings.push(`${setting} would be ${grouped(wanted)}, and ${grouped(max)} is the most`);
  return max;
}
