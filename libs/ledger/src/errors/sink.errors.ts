import { LedgerError } from './ledger.error.js';

/** A sink's facts about a failure; texts contain no values of users. @publicApi */
export interface SinkFailure {
  /** SQLSTATE (five characters) or socket code (`ECONNREFUSED`); undefined if there was none. */
  readonly sqlState?: string;
  /** Name of the constraint or column at fault, if the server named one. */
  readonly subject?: string;
  readonly cause?: unknown;
}

abstract class SinkError extends LedgerError {
  readonly sqlState: string | undefined;
  readonly subject: string | undefined;

  constructor(message: string, failure: SinkFailure = {}) {
    super(message, failure.cause === undefined ? undefined : { cause: failure.cause });
    this.sqlState = failure.sqlState;
    this.subject = failure.subject;
  }
}

/** The batch may be tried again unchanged; the server or the network was at fault. @publicApi */
export class SinkTransientError extends SinkError {
  readonly code = 'SINK_TRANSIENT';
  /** False if rows may be in the table: the batch must go through the skipping path. */
  readonly outcomeKnown: boolean;

  constructor(message: string, failure: SinkFailure & { outcomeKnown: boolean }) {
    super(message, failure);
    this.outcomeKnown = failure.outcomeKnown;
  }
}

/** A row is at fault; nothing of the batch was written. @publicApi */
export class SinkRowError extends SinkError {
  readonly code = 'SINK_ROW';
  /**
   * Number of the row in the batch, from 1; undefined if the server named none, and the batch is
   * halved.
   */
  readonly rowNumber: number | undefined;

  constructor(message: string, failure: SinkFailure & { rowNumber?: number } = {}) {
    super(message, failure);
    this.rowNumber = failure.rowNumber;
  }
}

/** Prefix of the message of a batch's halt, and health's reason of any halt. @internal */
export const REFUSES_EVERY_BATCH = 'the server refuses every batch';

/** Prefix of the message of a refused row. @internal */
export const REFUSED_A_ROW = 'the server refused a row';

/**
 * The server refuses every batch (no table, no permission, changed columns); all entries are kept.
 * @publicApi
 */
export class SinkHaltError extends SinkError {
  readonly code = 'SINK_HALT';
}
