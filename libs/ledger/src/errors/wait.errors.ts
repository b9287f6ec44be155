import { LedgerError } from './ledger.error.js';

/** A wait timed out; `outcome` says what became of the entry. @publicApi */
export class LedgerWaitTimeoutError extends LedgerError {
  readonly code = 'LEDGER_WAIT_TIMEOUT';

  constructor(
    /**
     * `queued`: the entry is in the channel and may still be written, so repeat it only with the
     * same `uuid`. `dropped`: it got no room and will never be written.
     */
    readonly outcome: 'queued' | 'dropped',
    /** How long the caller waited, in milliseconds. */
    readonly waitedMs: number,
    /** The entry's uuid; undefined for a `flush()`. */
    readonly uuid?: string,
  ) {
    super(
      outcome === 'queued'
        ? `not committed after ${waitedMs} ms; the entry is queued and may yet be written`
        : `no room in the channel after ${waitedMs} ms; the entry was dropped`,
    );
  }
}

/**
 * The entry is not recorded: the ledger has stopped and no file takes the entry, or the ledger is a
 * writer of a stream. @publicApi
 */
export class LedgerSealedError extends LedgerError {
  readonly code = 'LEDGER_SEALED';

  constructor(readonly uuid?: string) {
    super('the ledger is sealed: the process is stopping, or it is a writer of a stream');
  }
}

/**
 * A gateway can't wait for the commit, which a writer makes in another process. The entry is in the
 * channel and goes to the stream; `until: 'durable'` waits for the stream.
 *
 * @publicApi
 */
export class LedgerNoCommitError extends LedgerError {
  readonly code = 'LEDGER_NO_COMMIT';

  constructor(readonly uuid: string) {
    super(
      "a gateway can't wait for the commit, which a writer makes: the entry is queued; use until: 'durable'",
    );
  }
}

/**
 * Why an entry became a dead letter; `unreadable`: a message of the stream that is not a batch.
 * @publicApi
 */
export type DeadLetterReason = 'refused' | 'conflict' | 'invalid' | 'unreadable';

/** The server refused this entry, or its uuid is taken by other content. @publicApi */
export class LedgerDeadLetteredError extends LedgerError {
  readonly code = 'LEDGER_DEAD_LETTERED';

  constructor(
    readonly uuid: string,
    readonly reason: DeadLetterReason,
    /** Five characters, or undefined for a conflict. */
    readonly sqlState?: string,
  ) {
    super(`the entry was dead-lettered: ${reason}${sqlState ? ` (SQLSTATE ${sqlState})` : ''}`);
  }
}

/** The entry was spilled to a file at shutdown, or was recorded after it. @publicApi */
export class LedgerSpilledError extends LedgerError {
  readonly code = 'LEDGER_SPILLED';

  constructor(
    readonly uuid: string,
    /** Path of the spill file that holds the entry. */
    readonly file: string,
  ) {
    super('the entry was spilled to a file at shutdown; replay it from there');
  }
}
