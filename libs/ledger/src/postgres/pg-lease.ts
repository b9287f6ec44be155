import type { QueryRunner } from 'typeorm';
import { EmptyStatement } from './copy-statement.js';
import type { Deadline } from '../clock/deadline.js';
import type { PgClient } from './pg-client.js';
import type { PgStatement, StatementResult } from './pg-statement.js';
import { readPgError } from './read-pg-error.js';
import type { PgFailure } from './read-pg-error.js';
import { realTimers } from '../clock/real-timers.js';

/** A destroyed socket closes within a turn or two; this is the longest wait for it. */
const CLOSE_WAIT_MS = 100;

/** A statement failed; the error contains no text of the server. @internal */
export class StatementError extends Error {
  constructor(
    readonly failure: PgFailure,
    /** False if the statement may have been committed anyway. */
    readonly outcomeKnown: boolean,
  ) {
    super(failure.text, { cause: failure.cause });
    this.name = 'StatementError';
  }
}

/**
 * One connection of the pool, held for one attempt.
 *
 * Held -> returned (`giveBack`, only after known answers), or discarded (`discard`, also by `run`
 * when the connection fails or the time is up). The pool never reuses a discarded connection.
 *
 * @internal
 */
export class PgLease {
  #isOver = false;

  constructor(
    readonly client: PgClient,
    private readonly runner: QueryRunner,
    private readonly onOver: (lease: PgLease) => void,
  ) {}

  /** True while statements can be run on it. */
  get isHeld(): boolean {
    return !this.#isOver;
  }

  /**
   * Runs a statement to its end. If it rejects, the connection is either discarded or was tested
   * and is ready for the next statement.
   *
   * @param copyTarget unquoted name of the table that rows are copied to
   * @throws StatementError
   */
  async run(
    statement: PgStatement,
    deadline: Deadline,
    copyTarget?: string,
  ): Promise<readonly StatementResult[]> {
    try {
      this.client.query(statement);
      const results = await deadline.race(statement.results);
      if (this.#isInTransaction) throw new Error('the connection was left in a transaction');
      return results;
    } catch (error) {
      const failure = readPgError(error, copyTarget);
      if (failure.isAnswer && (await this.#recover(deadline))) {
        // ReadyForQuery after the error: the server has rolled back.
        throw new StatementError(failure, true);
      }
      statement.abandon();
      await this.discard();
      throw new StatementError(failure, !statement.mayHaveCommitted);
    }
  }

  /** Returns the connection to the pool if the next user can use it. Never rejects. */
  async giveBack(): Promise<void> {
    if (this.#isOver) return;
    if (this.#isInTransaction) return this.discard();
    this.#over();
    await this.#release();
  }

  /** Destroys the connection without a message to the server. Never rejects. */
  async discard(): Promise<void> {
    if (this.#isOver) return;
    this.#over();
    await this.#destroySocket();
    await this.#release();
  }

  /** Null means unknown yet; undefined means that this version of `pg` does not report it. */
  get #isInTransaction(): boolean {
    const status = this.client.getTransactionStatus?.();
    return status === 'T' || status === 'E';
  }

  /**
   * After an error the rest of the rows may still be under way. A pooler would consider them a new
   * transaction and reserve a server connection for it. An empty query after them ends that.
   */
  async #recover(deadline: Deadline): Promise<boolean> {
    const statement = new EmptyStatement();
    try {
      this.client.query(statement);
      await deadline.race(statement.results);
      return !this.#isInTransaction;
    } catch {
      statement.abandon();
      return false;
    }
  }

  /**
   * The client must report the error before the pool gets it back, or the pool would give it to the
   * next user. Only its error, emitted after the socket's `close`, makes the QueryRunner return it
   * as broken. `close` takes more than one turn, and `stream.closed` is true before the event.
   */
  async #destroySocket(): Promise<void> {
    const stream = this.client.connection?.stream;
    stream?.destroy();
    if (!stream || this.runner.isReleased) return;
    await new Promise<void>((resolve) => {
      const timer = realTimers.setTimeout(resolve, CLOSE_WAIT_MS);
      stream.once('close', () => {
        realTimers.clearTimeout(timer);
        resolve();
      });
    });
  }

  #over(): void {
    this.#isOver = true;
    this.onOver(this);
  }

  async #release(): Promise<void> {
    try {
      // The runner itself released a client that reported an error; this call then has no effect.
      await this.runner.release();
    } catch {
      // The pool already has the error.
    }
  }
}
