import type { SinkHaltError, SinkRowError } from '../errors/sink.errors.js';

/**
 * Rows on their way to a sink: encoded binary COPY rows back to back, without header and trailer.
 * The memory is the channel's own; it stays as it is until the batch is settled, but for a row that was
 * reported as a conflict: it may come again with another uuid, in another batch.
 *
 * @publicApi
 */
export interface RowBatch {
  /** Rows, at least 1. */
  readonly count: number;
  /** Bytes of all rows together. */
  readonly bytes: number;
  /** Views that hold all rows in order; a row never crosses two views. */
  slices(): Buffer[];
  /** View of one row. @param index 0 to `count` - 1 */
  row(index: number): Buffer;
}

/** How one attempt at one batch is to be made. @publicApi */
export interface WriteAttempt {
  /** The attempt, its connection included, ends after this many milliseconds. */
  readonly timeoutMs: number;
  /** Somebody waits for the commit: it must be durable, whatever the server's default. */
  readonly isAwaited: boolean;
  /** An earlier attempt's outcome is unknown: skip what is there already, and compare it. */
  readonly mayExist: boolean;
}

/** What became of the rows of a batch that was committed. @publicApi */
export interface WriteResult {
  /** Rows that are new in the table. `written + duplicates.length + conflicts.length = count`. */
  readonly written: number;
  /** Indexes (from 0, ascending) of rows that were there already with equal content. */
  readonly duplicates: readonly number[];
  /** Indexes (from 0, ascending) of rows whose uuid is taken by other content. */
  readonly conflicts: readonly number[];
  /**
   * Of `written`: rows that the server took and did not report as stored. A trigger, a rule or a policy
   * of the table took them away, or put them elsewhere. Default 0.
   */
  readonly notStored?: number;
}

/** A row that was refused when each row of its batch was tried by itself. @publicApi */
export interface RefusedRow {
  /** Index in the batch, from 0. */
  readonly index: number;
  /** `SinkHaltError` if the reason sounds like the table's: no such table, no right. */
  readonly error: SinkRowError | SinkHaltError;
  /** It was tried once more after another row of the batch had got in, and was refused again. */
  readonly isCertain: boolean;
}

/**
 * What became of the rows of a batch whose rows were tried one by one. `written`, duplicates,
 * conflicts, refused and untried rows are `count` together.
 *
 * @publicApi
 */
export interface EachRowResult extends WriteResult {
  /** Refused rows, by index, ascending. */
  readonly refused: readonly RefusedRow[];
  /** Indexes (from 0, ascending) of rows that there was no time for. */
  readonly untried: readonly number[];
}

/**
 * Where batches go. One call of `write` is one atomic attempt: all rows that it reports are
 * committed when it resolves, none is if it rejects with `SinkRowError` or `SinkHaltError`.
 *
 * @publicApi
 */
export interface LedgerSink {
  /**
   * Reaches the server and makes sure that the table is as the definition says (migrates or
   * verifies it). May be called again after it rejected.
   *
   * @param signal ends it early: the process stops
   * @throws SinkTransientError if the server can't be reached
   * @throws SinkHaltError if the table is not as it must be
   */
  prepare(signal?: AbortSignal): Promise<void>;
  /**
   * @throws SinkTransientError try again; `outcomeKnown` says how
   * @throws SinkRowError a row is at fault, nothing was written
   * @throws SinkHaltError the server refuses all batches, nothing was written
   */
  write(batch: RowBatch, attempt: WriteAttempt): Promise<WriteResult>;
  /**
   * Tries each row by itself, in one round trip, and says what became of each. Rows that are there
   * already are duplicates or conflicts, as for `write` with `mayExist`. Optional: without it the
   * writer finds refused rows by halving, and one row at a time tries whether a halt is over.
   *
   * @throws SinkTransientError, SinkHaltError as `write` does; not for a refused row
   */
  writeEach?(batch: RowBatch, attempt: WriteAttempt): Promise<EachRowResult>;
  /**
   * Tells which rows are in the table: a row that is refused now may have been written by an
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
   * Gives back what the sink made itself (its own connections); never rejects.
   *
   * @param timeoutMs milliseconds that it may take to do so politely
   */
  close(timeoutMs?: number): Promise<void>;
}
