import type { SinkHaltError, SinkRowError } from '../errors/sink.errors.js';

/**
 * A sink's input: encoded binary COPY rows back to back, without header and trailer. The memory
 * belongs to the channel and does not change until the batch is settled. One exception: a row
 * reported as a conflict may get another uuid and come again in another batch.
 *
 * @publicApi
 */
export interface RowBatch {
  /** Number of rows, at least 1. */
  readonly count: number;
  /** Bytes of all rows together. */
  readonly bytes: number;
  /** Views that hold all rows in order; a row never crosses two views. */
  slices(): Buffer[];
  /** View of one row. @param index 0 to `count` - 1 */
  row(index: number): Buffer;
}

/** Options of one attempt at one batch. @publicApi */
export interface WriteAttempt {
  /** Time limit of the attempt in milliseconds, including the connection. */
  readonly timeoutMs: number;
  /** A caller waits for the commit, which must be durable whatever the server's default. */
  readonly isAwaited: boolean;
  /** The outcome of an earlier attempt is unknown: compare and skip existing rows. */
  readonly mayExist: boolean;
}

/** Outcome of a committed batch by row. @publicApi */
export interface WriteResult {
  /** Number of new rows in the table. `written + duplicates.length + conflicts.length = count`. */
  readonly written: number;
  /** Indexes (from 0, ascending) of rows that already existed with equal content. */
  readonly duplicates: readonly number[];
  /** Indexes (from 0, ascending) of rows whose uuid exists with other content. */
  readonly conflicts: readonly number[];
  /**
   * Part of `written`: rows that the server accepted but did not report as stored. A trigger, a
   * rule or a policy of the table removed or redirected them. Default 0.
   */
  readonly notStored?: number;
}

/** A row that was refused when each row of its batch was tried by itself. @publicApi */
export interface RefusedRow {
  /** Index in the batch, from 0. */
  readonly index: number;
  /** `SinkHaltError` if the table seems to be at fault (missing table, no permission). */
  readonly error: SinkRowError | SinkHaltError;
  /**
   * True: it was tried again after another row of the batch was accepted, and was refused again.
   */
  readonly isCertain: boolean;
}

/**
 * Outcome of a batch whose rows were tried one by one. `written`, duplicates, conflicts, refused
 * and untried rows add up to `count`.
 *
 * @publicApi
 */
export interface EachRowResult extends WriteResult {
  /** Refused rows, by index, ascending. */
  readonly refused: readonly RefusedRow[];
  /** Indexes (from 0, ascending) of rows that were not tried within the time limit. */
  readonly untried: readonly number[];
}

/**
 * The destination of batches. One call of `write` is one atomic attempt: if it resolves, all
 * reported rows are committed; if it rejects with `SinkRowError` or `SinkHaltError`, none is.
 *
 * @publicApi
 */
export interface LedgerSink {
  /**
   * Connects to the server and migrates or verifies the table. May be called again after a
   * rejection.
   *
   * @param signal ends it early: the process stops
   * @throws SinkTransientError if the server can't be reached
   * @throws SinkHaltError if the table does not match the definition
   */
  prepare(signal?: AbortSignal): Promise<void>;
  /**
   * @throws SinkTransientError try again; `outcomeKnown` says how
   * @throws SinkRowError a row is at fault, nothing was written
   * @throws SinkHaltError the server refuses all batches, nothing was written
   */
  write(batch: RowBatch, attempt: WriteAttempt): Promise<WriteResult>;
  /**
   * Tries each row by itself, in one round trip, and reports the outcome of each. Existing rows are
   * duplicates or conflicts, as for `write` with `mayExist`. Optional: without it, the writer finds
   * refused rows by halving, and a halt is tried with one row at a time.
   *
   * @throws SinkTransientError, SinkHaltError as `write` does; not for a refused row
   */
  writeEach?(batch: RowBatch, attempt: WriteAttempt): Promise<EachRowResult>;
  /**
   * Finds the rows that are in the table. A row that is refused now may have been written by an
   * earlier attempt whose answer was lost.
   *
   * @param isSame only those with equal content; default: by uuid alone
   * @returns indexes from 0, ascending
   * @throws SinkTransientError, SinkHaltError; SinkRowError if the content of one can't be compared
   */
  find(batch: RowBatch, timeoutMs: number, isSame?: boolean): Promise<readonly number[]>;
  /** Resolves if the server answers within the time limit, rejects if it does not. */
  ping(timeoutMs: number): Promise<void>;
  /**
   * Releases the sink's own resources, such as its connections; never rejects.
   *
   * @param timeoutMs milliseconds allowed for a graceful close
   */
  close(timeoutMs?: number): Promise<void>;
}
