import type { DueReason, RetryClass, WriteCounts } from '../ports/ledger-stats.interface.js';
import { classifyRetry, RETRY_CLASSES } from './retry-class.js';

/** Counts batches, flushes and retries of workers, once a batch. @internal */
export class WriteTally {
  readonly #batches: Record<DueReason, number> = {
    full: 0,
    old: 0,
    awaited: 0,
    draining: 0,
    recovered: 0,
  };
  readonly #flushes = { count: 0, entries: 0, ms: 0 };
  readonly #retries = noRetries();

  noteBatch(due: DueReason): void {
    this.#batches[due]++;
  }

  noteFlush(entries: number, ms: number): void {
    this.#flushes.count++;
    this.#flushes.entries += entries;
    this.#flushes.ms += ms;
  }

  noteRetry(error: unknown, isHalt: boolean): void {
    this.#retries[classifyRetry(error, isHalt)]++;
  }

  /** Copies that do not change later. */
  snapshot(): WriteCounts {
    return {
      batches: Object.freeze({ ...this.#batches }),
      flushes: Object.freeze({ ...this.#flushes }),
      retriesByClass: Object.freeze({ ...this.#retries }),
    };
  }
}

function noRetries(): Record<RetryClass, number> {
  const counts = RETRY_CLASSES.map((each) => [each, 0] as const);
  return Object.fromEntries(counts) as Record<RetryClass, number>;
}
