import type { AutoTrial } from '../ports/ledger-stats.interface.js';
import type { WorkerSearch } from './search-workers.js';

/** A committed flush. @internal */
export interface SeenFlush {
  /** Monotonic milliseconds of the commit. */
  readonly at: number;
  readonly entries: number;
  readonly ms: number;
}

/** Events since the last look, and the present state. @internal */
export interface TuningWindow {
  /** Monotonic milliseconds. */
  readonly at: number;
  /** Milliseconds since 1970. */
  readonly now: number;
  /** Since the last look, oldest first. */
  readonly flushes: readonly SeenFlush[];
  /** Entries queued so far; only grows. */
  readonly queued: number;
  /** Waiting full batches, as a fraction. */
  readonly waitingBatches: number;
  /** Each worker has a batch in flight. */
  readonly isAllBusy: boolean;
  /** The most workers busy at once since the last look. */
  readonly peakBusy: number;
  /** A round trip to the server in milliseconds; undefined if not measured yet. */
  readonly pingMs: number | undefined;
  /**
   * The reason, as a clause, why no trial may run: an outage, a halt, a busy event loop; undefined
   * if one may.
   */
  readonly trouble: string | undefined;
}

/** The figures that may be changed, and their bounds. @internal */
export interface TuningBounds {
  readonly isDelayAuto: boolean;
  readonly areWorkersAuto: boolean;
  /** Initial and minimum workers. */
  readonly firstWorkers: number;
  /** Maximum workers: pool, server, 16. Never below `firstWorkers`. */
  readonly mostWorkers: number;
}

/** A decision, and all input for the next one. Immutable. @internal */
export interface Tuning {
  readonly delayMs: number;
  readonly workers: number;
  /** The reasons for the delay and for the number of workers; a clause each. */
  readonly whyDelay: string;
  readonly whyWorkers: string;
  /** Milliseconds since 1970 of the last change of the delay or the number of workers. */
  readonly since: number;
  /** Times of the last flushes of few entries, oldest first. */
  readonly smallFlushes: readonly SeenFlush[];
  /** Entries queued at the last looks, oldest first. */
  readonly marks: readonly { readonly at: number; readonly queued: number }[];
  readonly search: WorkerSearch;
  /** The last trials, oldest first. */
  readonly tried: readonly AutoTrial[];
}
