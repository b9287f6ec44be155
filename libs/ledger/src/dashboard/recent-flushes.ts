import type { BatchCounts } from '../ports/ledger-stats.interface.js';
import type { FlushListener } from '../writer/batch-writer.js';
import type { RecentFlushes } from './dashboard-frame.interface.js';

type Flush = Parameters<FlushListener>[0];

/** One write: its end on the scale of `take`, its entries and its milliseconds. */
interface Noted {
  readonly at: number;
  readonly entries: number;
  readonly ms: number;
}

/**
 * Maximum kept flushes. There are more only with tiny batches, and the newest suffice for the
 * quantiles.
 */
const MAX_FLUSHES = 4096;

/** The flushes of the last seconds, for fill and quantiles. @internal */
export class FlushWindow {
  readonly #windowMs: number;
  #flushes: Noted[] = [];

  /** @param windowMs milliseconds for which a flush counts */
  constructor(windowMs: number) {
    this.#windowMs = windowMs;
  }

  /** @param at monotonic milliseconds */
  note(at: number, { entries, ms }: Pick<Flush, 'entries' | 'ms'>): void {
    this.#flushes.push({ at, entries, ms });
    if (this.#flushes.length >= 2 * MAX_FLUSHES) this.#flushes = this.#flushes.slice(-MAX_FLUSHES);
  }

  /**
   * @param at monotonic milliseconds
   * @param batchSize entries of a full batch
   * @param due batches over the same window, by the reason why they were due
   */
  take(at: number, batchSize: number, due: BatchCounts): RecentFlushes {
    this.#flushes = this.#flushes.filter((flush) => at - flush.at <= this.#windowMs);
    const batches = this.#flushes.length;
    const entries = this.#flushes.reduce((sum, flush) => sum + flush.entries, 0);
    const times = this.#flushes.map(({ ms }) => ms).sort((a, b) => a - b);
    return {
      batches,
      entries,
      fill: batches === 0 ? null : Math.min(1, entries / batches / batchSize),
      p50Ms: quantile(times, 0.5),
      p99Ms: quantile(times, 0.99),
      due,
    };
  }
}

/** By nearest rank. @param sorted ascending; @returns rounded to hundredths, null if it is empty */
function quantile(sorted: readonly number[], share: number): number | null {
  const value = sorted[Math.max(0, Math.ceil(sorted.length * share) - 1)];
  return value === undefined ? null : Math.round(value * 100) / 100;
}
