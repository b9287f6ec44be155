import type { DueReason } from '../writer/dispatcher.js';
import { classifyRetry, RETRY_CLASSES, type RetryClass } from './retry-class.js';

/** Batches that workers took, by why they were due; each only grows. @publicApi */
export type BatchCounts = Readonly<Record<DueReason, number>>;

/** Writes that were committed; each figure only grows. @publicApi */
export interface FlushCounts {
  readonly count: number;
  /** Entries written by them, duplicates included. */
  readonly entries: number;
  /** Milliseconds that they took in all, each worker's time counted for itself. */
  readonly ms: number;
}

/** `retries` by class; each only grows. @publicApi */
export type RetryCounts = Readonly<Record<RetryClass, number>>;

/** What was counted of batches up to now. @internal */
export interface WriteCounts {
  readonly batches: BatchCounts;
  readonly flushes: FlushCounts;
  readonly retriesByClass: RetryCounts;
}

/** Counts what workers do, once a batch. @internal */
export class WriteTally {
  readonly #batches: Record<DueReason, number> = { full: 0, old: 0, awaited: 0, draining: 0 };
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

  /** Copies, which later counts don't change. */
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
