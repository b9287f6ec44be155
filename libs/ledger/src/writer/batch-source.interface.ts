import type { Batch } from '../channel/batch.js';
import type { AwaitedEntry } from '../channel/commit-line.js';
import type { DueReason } from '../ports/ledger-stats.interface.js';

/** A batch assigned to a worker. @internal */
export interface Assignment {
  readonly batch: Batch;
  readonly due: DueReason;
  /** The batch's entries with waiting callers, by position. */
  readonly awaited: readonly AwaitedEntry[];
  /** A caller waits for the commit of an entry, or a flush does. */
  readonly isAwaited: boolean;
  /**
   * Rows that the table may contain already use the statement that skips existing rows. Default:
   * false.
   */
  readonly mayExist?: boolean;
  /** The folder that keeps the rows: they are on disk only, and can't be read in this process. */
  readonly keptIn?: string;
  /** The folder was removed: the rows are lost. */
  readonly isGone?: boolean;
}

/** Rows read from files. The files keep them until they are settled. @internal */
export interface RecoveredRows {
  readonly batch: Batch;
  readonly mayExist: boolean;
}

/**
 * Rows of earlier runs, written in addition to those of the channel. Their positions are higher
 * than all of the channel's, so no caller who waits for the channel's entries waits for them.
 *
 * @internal
 */
export interface RecoverySource {
  /** Rows that a worker has. */
  readonly inFlight: number;
  /** Files with an incomplete last frame; default: 0. */
  readonly torn?: number;
  /** Files whose rows are all settled but that can't be removed; default: 0. */
  readonly stuck?: number;
  /** Files that are damaged or unreadable; default: 0. */
  readonly damaged?: number;
  /** Starts counting rows; gives none before `start`. Never rejects. */
  watch?(): Promise<void>;
  /** Starts looking for rows; called when the sink was reached. */
  start(): void;
  /** The next rows; undefined if none is ready. */
  take(): RecoveredRows | undefined;
  /** Whether a batch came from this source. */
  owns(batch: Batch): boolean;
  /** The rows of a batch have their final fate. */
  settle(batch: Batch): void;
  /**
   * Called before rows are settled that have no other copy: their file stays for the next start.
   * @returns its path
   */
  leave(batch: Batch): string;
  /** Calls back when rows are ready; must not throw. */
  whenReady(callback: () => void): void;
  /** Stops giving rows, and keeps the files of unsettled ones. */
  stop(): void;
  /** Ends permanently and leaves the remaining rows to the next run. Never rejects. */
  close(): Promise<void>;
  /** The path of the file with a batch's rows, for rows that are not settled. */
  fileOf(batch: Batch): string;
}

/**
 * The writer half's source of batches. In one process with the intake half it is the channel,
 * through the dispatcher. A process that only writes reads from a stream.
 *
 * Entries have ascending positions. All before `head` were assigned to a worker.
 *
 * @internal
 */
export interface BatchSource {
  /** Entries that wait or that a worker has. */
  readonly held: number;
  /** Position of the first entry without a worker. */
  readonly head: number;
  /** Position of the next entry. */
  readonly tail: number;
  /** The reason why no batch arrives, without values; undefined if there is none. */
  readonly trouble?: string | undefined;
  /** A problem that needs a person although batches arrive; undefined if there is none. */
  readonly notice?: string | undefined;
  /** Monotonic milliseconds by which a worker should have an entry; undefined if no entry waits. */
  readonly dueAt: number | undefined;
  /**
   * Requests the next due batch.
   * @param accept called once, in the same turn in which the batch leaves the source; with
   *   undefined after the source is stopped
   */
  next(accept: (assignment: Assignment | undefined) => void): void;
  /** Cancels a call of `next`: calls `accept` with undefined, unless it was called already. */
  withdraw(accept: (assignment: Assignment | undefined) => void): void;
  /** Rows of an assignment have their final fate; called once for each row. */
  settle(batch: Batch): void;
  /** Whether another process may have written the rows; default: no. Asked before each attempt. */
  mayExist?(batch: Batch): boolean;
  /**
   * Takes the callers who began to wait after a worker got their rows. Called before the rows are
   * settled.
   */
  takeWatchers?(batch: Batch): readonly AwaitedEntry[];
  /**
   * Called before rows are settled that have no other copy; some sources can deliver them again
   * later.
   * @returns their location, in words; undefined if they are lost
   */
  leaveBehind?(batch: Batch): string | undefined;
  /** A worker has finished an assignment. */
  done(assignment: Assignment): void;
  /** Makes the entries before a position due. */
  flushUntil(position: number): void;
  /** Makes each entry due at once from now on. */
  drain(): void;
  /** Accepts no entry from now on. */
  seal(): void;
  /** Ends idle workers; entries stay in the source. */
  stop(): void;
  /**
   * Calls back with rows that were on disk only and can't be read. They stay in the file in
   * `keptIn`, and are final once the callback settles them. Must not throw.
   */
  whenUnreadable?(callback: (assignment: Assignment) => void): void;
  /**
   * Leaves unsettled rows where the source read them, if it can. They are then neither spilled nor
   * reported as lost, and no row is settled afterwards. May be called again.
   */
  leave?(): void;
  /** Takes all entries without a worker, in batches; for the drain deadline. */
  takeAll(): Assignment[];
}
