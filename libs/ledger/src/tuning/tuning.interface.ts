import type { AutoTrial } from '../ports/ledger-stats.interface.js';
import type { WorkerSearch } from './search-workers.js';

/** A flush that was committed. @internal */
export interface SeenFlush {
  /** Monotonic milliseconds when it was committed. */
  readonly at: number;
  readonly entries: number;
  readonly ms: number;
}

/** What happened since the last look, and how things stand now. @internal */
export interface TuningWindow {
  /** Monotonic milliseconds. */
  readonly at: number;
  /** Milliseconds since 1970. */
  readonly now: number;
  /** Since the last look, oldest first. */
  readonly flushes: readonly SeenFlush[];
  /** Entries queued up to now; only grows. */
  readonly queued: number;
  /** Full batches that wait, with their fraction. */
  readonly waitingBatches: number;
  /** Each worker has a batch in flight. */
  readonly isAllBusy: boolean;
  /** Workers that were busy at once since the last look, at most. */
  readonly peakBusy: number;
  /** A round trip to the server in milliseconds; undefined: it was not measured yet. */
  readonly pingMs: number | undefined;
  /** Why nothing is tried now, as a clause: an outage, a halt, a busy event loop; undefined: it may be. */
  readonly trouble: string | undefined;
}

/** What may be changed, and how far. @internal */
export interface TuningBounds {
  readonly isDelayAuto: boolean;
  readonly areWorkersAuto: boolean;
  /** Workers to begin with, and at least. */
  readonly firstWorkers: number;
  /** At most: pool, server, 16. Never below `firstWorkers`. */
  readonly mostWorkers: number;
}

/** A decision, and all that the next one needs. Immutable. @internal */
export interface Tuning {
  readonly delayMs: number;
  readonly workers: number;
  /** Why the delay, and the number of workers, are as they are; a clause each. */
  readonly whyDelay: string;
  readonly whyWorkers: string;
  /** Milliseconds since 1970 when the delay or the number of workers changed. */
  readonly since: number;
  /** Times of the last flushes of few entries, oldest first. */
  readonly smallFlushes: readonly SeenFlush[];
  /** Entries queued at the last looks, oldest first. */
  readonly marks: readonly { readonly at: number; readonly queued: number }[];
  readonly search: WorkerSearch;
  /** The last trials, oldest first. */
  readonly tried: readonly AutoTrial[];
}
