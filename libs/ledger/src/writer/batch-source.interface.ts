import type { Batch } from '../channel/batch.js';
import type { AwaitedEntry } from '../channel/commit-line.js';
import type { DueReason } from '../ports/ledger-stats.interface.js';

/** A batch handed to a worker. @internal */
export interface Assignment {
  readonly batch: Batch;
  readonly due: DueReason;
  /** Entries of the batch whose callers wait, by position. */
  readonly awaited: readonly AwaitedEntry[];
  /** Somebody waits for the commit: an entry's caller, or a flush. */
  readonly isAwaited: boolean;
  /** Rows that may be in the table already go the way that skips those from the start. Default: false. */
  readonly mayExist?: boolean;
  /** The folder that has the rows, and keeps them: they are on disk only, and can't be read here. */
  readonly keptIn?: string;
  /** Somebody removed that folder: nothing has the rows. */
  readonly isGone?: boolean;
}

/** Rows that were taken out of files, which keep them until they are settled. @internal */
export interface RecoveredRows {
  readonly batch: Batch;
  readonly mayExist: boolean;
}

/**
 * Rows of earlier runs, which are written beside those of the channel. Their positions are behind all
 * that a channel gives, so nobody who waits for the channel's entries waits for them.
 *
 * @internal
 */
export interface RecoverySource {
  /** Rows with a worker. */
  readonly inFlight: number;
  /** Files whose last frame is cut off; default: 0. */
  readonly torn?: number;
  /** Files whose rows are all settled, and that can't be removed; default: 0. */
  readonly stuck?: number;
  /** Files that are damaged, or that can't be read; default: 0. */
  readonly damaged?: number;
  /** Counts rows from now on, and gives none before `start`. Never rejects. */
  watch?(): Promise<void>;
  /** Looks for rows from now on; the sink was reached. */
  start(): void;
  /** The next rows; undefined: none is ready. */
  take(): RecoveredRows | undefined;
  /** Whether a batch is one of these. */
  owns(batch: Batch): boolean;
  /** Rows have their final fate. */
  settle(batch: Batch): void;
  /**
   * Rows are to be settled that nothing else keeps: their file stays for the next start.
   * @returns its path
   */
  leave(batch: Batch): string;
  /** Calls back when rows became ready; must not throw. */
  whenReady(callback: () => void): void;
  /** Gives no more rows, and keeps the files of those that are not settled by now. */
  stop(): void;
  /** Ends for good: leaves what is left to the next run. Never rejects. */
  close(): Promise<void>;
  /** Where the rows of a batch stay when they are not settled: a path. */
  fileOf(batch: Batch): string;
}

/**
 * Where the writer half gets its batches from. In one process with the intake half that is the
 * channel, behind the dispatcher; a process that only writes takes them from a stream.
 *
 * Entries have positions, which only grow. All before `head` were handed to a worker.
 *
 * @internal
 */
export interface BatchSource {
  /** Entries that wait or are with a worker. */
  readonly held: number;
  /** Position of the first entry that no worker has. */
  readonly head: number;
  /** Position that the next entry will get. */
  readonly tail: number;
  /** Why no batch comes from elsewhere, in words without values; undefined: all is well. */
  readonly trouble?: string | undefined;
  /** What needs a person though batches come; undefined: nothing does. */
  readonly notice?: string | undefined;
  /** Monotonic milliseconds when a worker should have had an entry at the latest; undefined: none. */
  readonly dueAt: number | undefined;
  /**
   * Asks for the next due batch.
   * @param accept called once, in the turn in which the batch leaves the source; with undefined once
   * the source is stopped
   */
  next(accept: (assignment: Assignment | undefined) => void): void;
  /** Takes back what was asked by `next`: calls `accept` with undefined, unless it was called already. */
  withdraw(accept: (assignment: Assignment | undefined) => void): void;
  /** Rows of an assignment have their final fate; called once for each row. */
  settle(batch: Batch): void;
  /** Whether rows may be in the table by another process's doing; default: no. Asked before each attempt. */
  mayExist?(batch: Batch): boolean;
  /**
   * Takes callers who began to wait for rows that a worker had already. Asked before the rows are settled.
   */
  takeWatchers?(batch: Batch): readonly AwaitedEntry[];
  /**
   * Rows are to be settled that nothing else keeps: a source that can gives them again later. Asked before they are
   * settled.
   * @returns where they stay, in words; undefined: they are lost
   */
  leaveBehind?(batch: Batch): string | undefined;
  /** A worker is done with an assignment. */
  done(assignment: Assignment): void;
  /** Makes the entries before a position due. */
  flushUntil(position: number): void;
  /** From now on each entry is due at once. */
  drain(): void;
  /** Takes in no entry from now on. */
  seal(): void;
  /** Sends idle workers home; entries stay where they are. */
  stop(): void;
  /**
   * Calls back with rows that were on disk only and can't be read back: they stay in the file that `keptIn` names,
   * and have their final fate once the callback settles them. Must not throw.
   */
  whenUnreadable?(callback: (assignment: Assignment) => void): void;
  /**
   * Leaves rows that are not settled where the source has them from. Where a source can, these are neither spilled
   * nor reported as lost; no row is settled afterwards. May be called again.
   */
  leave?(): void;
  /** Takes all entries that no worker has, in batches; for what is left at the drain deadline. */
  takeAll(): Assignment[];
}
