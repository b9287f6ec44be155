import { LedgerError } from './ledger.error.js';

/** A wait ended before what it waited for; the entry's fate is in `outcome`. @publicApi */
export class LedgerWaitTimeoutError extends LedgerError {
  readonly code = 'LEDGER_WAIT_TIMEOUT';

  constructor(
    /**
     * `queued`: the entry is in the channel and may yet be written, so repeat it only with the same
     * `uuid`. `dropped`: it never got room and will never be written.
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

/** The ledger has stopped, and no file takes the entry, or it is a writer of a stream: the entry is not recorded. @publicApi */
export class LedgerSealedError extends LedgerError {
  readonly code = 'LEDGER_SEALED';

  constructor(readonly uuid?: string) {
    super('the ledger is sealed: the process is stopping, or it is a writer of a stream');
  }
}

/**
 * A gateway was asked to wait for the commit, which a writer makes in another process. The entry is in the
 * channel and goes to the stream; `until: 'durable'` waits for that.
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

/** Why an entry became a dead letter; `unreadable`: a message of the stream that is no batch. @publicApi */
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

/** The entry was left in a file when the process had to stop, or came after that. @publicApi */
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
