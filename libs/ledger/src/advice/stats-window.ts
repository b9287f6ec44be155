import type { RetryClass, BatchCounts } from '../ports/ledger-stats.interface.js';
import { RETRY_CLASSES } from '../stats/retry-class.js';
import type { LedgerStats } from '../ports/ledger-stats.interface.js';

/** A snapshot and its time. @publicApi */
export interface StatsSample {
  /** Monotonic milliseconds; only differences are meaningful. */
  readonly at: number;
  readonly stats: LedgerStats;
}

/** Changes between the first and the last sample of a window. @publicApi */
export interface WindowFacts {
  readonly last: LedgerStats;
  readonly spanMs: number;
  /** Offered entries a second, without invalid and sealed ones. */
  readonly demandPerSecond: number;
  /** The same over the busiest part of the window that lasts at least a second. */
  readonly peakPerSecond: number;
  /** Settled entries a second. */
  readonly settledPerSecond: number;
  /** The part of them from journals of earlier runs, which were not offered in the window. */
  readonly recoveredPerSecond: number;
  readonly dropped: number;
  /** Maximum number of callers that waited for room. */
  readonly waiting: number;
  readonly batches: BatchCounts;
  /** Of all kinds. */
  readonly batchCount: number;
  readonly flushes: number;
  /** Mean over the window's flushes; 0 without any. */
  readonly flushMs: number;
  /** Mean over the window's flushes; 0 without any. */
  readonly entriesPerFlush: number;
  /** Share of the workers' time that writes took, 0 to 1. */
  readonly busyShare: number;
  /** Maximum number of workers with a batch in flight at a sample. */
  readonly busyWorkers: number;
  readonly retries: Readonly<Record<RetryClass, number>>;
  /** Maximum, 0 to 1. */
  readonly saturation: number;
  /** Writes of the journal that blocked the event loop for more than 20 ms. */
  readonly slowWrites: number;
  /**
   * Mean growth of the journal's files over the window; negative if they shrank, 0 without a
   * journal.
   */
  readonly journalBytesPerSecond: number;
}

/** Shorter spans say more about the batch of the moment than about a rate. */
const MIN_RATE_SPAN_MS = 1000;

/**
 * The last samples of one run, oldest first: at most `spanMs` from the first to the last. A sample of
 * another run, or one out of order, empties the window first.
 *
 * @publicApi
 */
export class StatsWindow {
  readonly #spanMs: number;
  #samples: StatsSample[] = [];

  /** @param spanMs default one minute */
  constructor(spanMs = 60_000) {
    this.#spanMs = spanMs;
  }

  /** Adds a sample. @param at monotonic milliseconds */
  add(at: number, stats: LedgerStats): void {
    const last = this.#samples.at(-1);
    if (last !== undefined && (last.stats.run !== stats.run || at <= last.at)) this.#samples = [];
    this.#samples.push({ at, stats });
    while (at - this.#samples[0]!.at > this.#spanMs) this.#samples.shift();
  }

  /** Oldest first; may be empty. Not live: later samples are not in it. */
  get samples(): readonly StatsSample[] {
    return [...this.#samples];
  }
}

/**
 * Summarises a window.
 *
 * @param samples of one run, oldest first
 * @returns undefined for less than two samples
 * @publicApi
 */
export function summarizeWindow(samples: readonly StatsSample[]): WindowFacts | undefined {
  const [from] = samples;
  const to = samples.at(-1);
  if (from === undefined || to === undefined || to.at <= from.at) return undefined;
  const { stats: first } = from;
  const { stats: last } = to;
  const spanMs = to.at - from.at;
  const flushes = last.flushes.count - first.flushes.count;
  const flushMs = last.flushes.ms - first.flushes.ms;
  const flushed = last.flushes.entries - first.flushes.entries;
  const demand = demandOf(last) - demandOf(first);
  const batches = batchesBetween(first.batches, last.batches);
  return {
    last,
    spanMs,
    demandPerSecond: perSecond(demand, spanMs),
    peakPerSecond: peakOf(samples),
    settledPerSecond: perSecond(settledOf(last) - settledOf(first), spanMs),
    recoveredPerSecond: perSecond(last.recovered - first.recovered, spanMs),
    dropped: last.dropped - first.dropped,
    waiting: highest(samples, ({ waiting }) => waiting),
    batches,
    batchCount: Object.values(batches).reduce((sum, count) => sum + count, 0),
    flushes,
    flushMs: flushes === 0 ? 0 : flushMs / flushes,
    entriesPerFlush: flushes === 0 ? 0 : flushed / flushes,
    busyShare: busyShareOf(samples, flushes > 0 ? flushMs / spanMs : undefined),
    busyWorkers: highest(samples, ({ workers }) => workers.busy),
    retries: retriesBetween(first, last),
    saturation: highest(samples, ({ saturation }) => saturation),
    slowWrites: (last.journal?.slowWrites ?? 0) - (first.journal?.slowWrites ?? 0),
    journalBytesPerSecond: perSecond(journalBytesOf(last) - journalBytesOf(first), spanMs),
  };
}

function demandOf({ offered, invalid, sealed }: LedgerStats): number {
  return offered - invalid - sealed;
}

function settledOf({ written, published, duplicate, deadLettered, spilled }: LedgerStats): number {
  return written + published + duplicate + deadLettered + spilled;
}

function journalBytesOf({ journal }: LedgerStats): number {
  return journal === null ? 0 : journal.bytes + journal.earlierBytes;
}

function perSecond(count: number, ms: number): number {
  return (count * 1000) / ms;
}

function highest(samples: readonly StatsSample[], of: (stats: LedgerStats) => number): number {
  return samples.reduce((most, { stats }) => Math.max(most, of(stats)), 0);
}

function peakOf(samples: readonly StatsSample[]): number {
  let from = samples[0]!;
  let peak: number | undefined;
  for (const sample of samples) {
    const ms = sample.at - from.at;
    if (ms < MIN_RATE_SPAN_MS) continue;
    const rate = perSecond(demandOf(sample.stats) - demandOf(from.stats), ms);
    peak = Math.max(peak ?? 0, rate);
    from = sample;
  }
  const last = samples.at(-1)!;
  const [first] = samples;
  const span = last.at - first!.at;
  return peak ?? perSecond(demandOf(last.stats) - demandOf(first!.stats), span);
}

/**
 * From the time of writes, which is exact if they are much shorter than the window; if no write
 * ended in the window, from the workers that were busy at its samples.
 */
function busyShareOf(samples: readonly StatsSample[], workersWriting: number | undefined): number {
  const { total } = samples.at(-1)!.stats.workers;
  const seen = samples.reduce((sum, { stats }) => sum + stats.workers.busy, 0) / samples.length;
  return Math.min(1, (workersWriting ?? seen) / Math.max(1, total));
}

function batchesBetween(first: BatchCounts, last: BatchCounts): BatchCounts {
  return {
    full: last.full - first.full,
    old: last.old - first.old,
    awaited: last.awaited - first.awaited,
    draining: last.draining - first.draining,
    recovered: last.recovered - first.recovered,
  };
}

function retriesBetween(first: LedgerStats, last: LedgerStats): Record<RetryClass, number> {
  const entries = RETRY_CLASSES.map((each) => {
    return [each, last.retriesByClass[each] - first.retriesByClass[each]] as const;
  });
  return Object.fromEntries(entries) as Record<RetryClass, number>;
}
