import type { Deadline } from '../clock/deadline.js';
import type { QueryFunction } from './load-catalog.js';
import type { PgLease } from './pg-lease.js';
import type { PgStatement, StatementResult, TextRow } from './pg-statement.js';
import { isUsableAfter } from './session-faults.js';
import { LIFT_TRANSACTION_TIMEOUT } from './transaction-timeout.js';

/** Options of one transaction. @internal */
export interface TransactionOptions {
  /** Default `READ COMMITTED`, independent of the server's default. */
  readonly isolation?: 'READ COMMITTED' | 'REPEATABLE READ';
  /** Default: false. */
  readonly isReadOnly?: boolean;
  /** Milliseconds for each statement. Default: nine tenths of the session's remaining time. */
  readonly timeoutMs?: number;
  /** Milliseconds that a statement waits for a lock. Default: `timeoutMs`. */
  readonly lockTimeoutMs?: number;
  /** Further settings for this transaction only: name and value as SQL. */
  readonly settings?: Readonly<Record<string, string>>;
}

/** The server's limit is shorter, so that its answer arrives in time. */
const TIMEOUT_SHARE = 0.9;

/**
 * One connection, held for some statements until a deadline. All of the library's communication
 * with PostgreSQL uses it.
 *
 * @internal
 */
export class PgSession {
  #onReturned: () => void = () => {};
  #hasAnswered = false;

  /**
   * @param deadline of all statements together
   * @param schema of the connection's options; used if a definition has none
   */
  constructor(
    private readonly lease: PgLease,
    readonly deadline: Deadline,
    readonly schema: string | undefined,
  ) {}

  /** Whether a statement on it has been answered with success. */
  get hasAnswered(): boolean {
    return this.#hasAnswered;
  }

  /** True while statements can be run. */
  get isHeld(): boolean {
    return this.lease.isHeld;
  }

  /**
   * Runs one statement, or several without values; returns the rows of the last one. Each value is
   * the server's text, independent of the application's type parsers.
   *
   * @throws the error of `pg`, or DeadlineError; the connection is reused only if the server
   *   answered and did not end the session
   */
  async rows<T = Record<string, string | null>>(
    sql: string,
    values: readonly unknown[] = [],
  ): Promise<T[]> {
    return (await this.#query({ text: sql, values, types: AS_TEXT })) as T[];
  }

  /** `rows` in the form of TypeORM's QueryRunner. */
  readonly query: QueryFunction = (sql, values) => this.rows(sql, values);

  /** Like `rows`, with each row as an array in the order of the select list. */
  async texts(sql: string, values: readonly unknown[] = []): Promise<TextRow[]> {
    const query = { text: sql, values, types: AS_TEXT, rowMode: 'array' };
    return (await this.#query(query)) as TextRow[];
  }

  /**
   * Runs a statement that implements the protocol itself: COPY, or several commands with binary
   * parameters in one round trip. If it rejects, the connection is either discarded or was tested
   * and is ready for the next statement.
   *
   * @param copyTarget unquoted name of the table that rows are copied to
   * @throws StatementError
   */
  async run(statement: PgStatement, copyTarget?: string): Promise<readonly StatementResult[]> {
    const results = await this.lease.run(statement, this.deadline, copyTarget);
    this.#hasAnswered = true;
    return results;
  }

  /**
   * Runs `work` in a transaction, and rolls it back if `work` throws.
   *
   * @throws any error of `work`; the error of `pg` or DeadlineError of BEGIN or COMMIT
   */
  async transaction<T>(work: () => Promise<T>, options: TransactionOptions = {}): Promise<T> {
    await this.begin(options);
    try {
      const result = await work();
      await this.rows('COMMIT');
      return result;
    } catch (error) {
      await this.rollback();
      throw error;
    }
  }

  /** Begins a transaction, in one round trip; `transaction` is the usual way. */
  async begin(options: TransactionOptions = {}): Promise<void> {
    await this.rows(beginSql(options, this.deadline));
  }

  /** Never rejects: the server itself rolls back for a lost connection. */
  async rollback(): Promise<void> {
    if (this.isHeld) await this.rows('ROLLBACK').catch(() => []);
  }

  /**
   * Reads a large result page by page. Needs a transaction.
   *
   * @param pageRows rows of one round trip, and maximum rows in memory
   */
  async *pages(
    sql: string,
    values: readonly unknown[],
    pageRows: number,
  ): AsyncGenerator<TextRow[], void, undefined> {
    const name = `nestjs_ledger_${++cursors}`;
    await this.rows(`DECLARE ${name} NO SCROLL CURSOR FOR ${sql}`, values);
    for (;;) {
      const page = await this.texts(`FETCH ${pageRows} FROM ${name}`);
      yield page;
      if (page.length < pageRows) break;
    }
    await this.rows(`CLOSE ${name}`);
  }

  /** Calls back when the pool has the connection again, or knows that it is lost. */
  whenReturned(callback: () => void): void {
    const { client } = this.lease;
    // The server ends a session with an idle transaction, and then the connection may never be
    // returned.
    client.once('end', callback);
    this.#onReturned = () => {
      client.removeListener('end', callback);
      callback();
    };
  }

  /** Returns the connection to the pool if the next user can use it. Never rejects. */
  async giveBack(): Promise<void> {
    await this.lease.giveBack();
    this.#onReturned();
  }

  /** Destroys the connection without a message to the server. Never rejects. */
  async discard(): Promise<void> {
    await this.lease.discard();
    this.#onReturned();
  }

  async #query(config: object): Promise<unknown[]> {
    const client = this.lease.client as unknown as QueryClient;
    try {
      const query = client.query(config);
      // After the deadline nothing waits for the answer.
      query.catch(() => {});
      const answer = await this.deadline.race(query);
      this.#hasAnswered = true;
      return (Array.isArray(answer) ? answer.at(-1)! : answer).rows;
    } catch (error) {
      if (!isUsableAfter(error)) await this.discard();
      throw error;
    }
  }
}

/** Cursors of one transaction need different names. */
let cursors = 0;

function beginSql(
  { isolation, isReadOnly, timeoutMs, lockTimeoutMs, settings }: TransactionOptions,
  deadline: Deadline,
): string {
  const statementMs = timeoutMs ?? timeoutOf(deadline);
  const local = {
    statement_timeout: String(statementMs),
    lock_timeout: String(lockTimeoutMs ?? statementMs),
    ...AS_THE_LEDGER_READS,
    ...settings,
  };
  return [
    `BEGIN ISOLATION LEVEL ${isolation ?? 'READ COMMITTED'}${isReadOnly ? ' READ ONLY' : ''}`,
    LIFT_TRANSACTION_TIMEOUT,
    ...Object.entries(local).map(([name, value]) => `SET LOCAL ${name} = ${value}`),
  ].join('; ');
}

/** The session may have other settings: `pg` reads UTF-8, and names are compared literally. */
const AS_THE_LEDGER_READS = { client_encoding: 'UTF8', quote_all_identifiers: 'off' };

/** 0 means no limit, for a session without a deadline. */
function timeoutOf({ remainingMs }: Deadline): number {
  if (remainingMs === Number.POSITIVE_INFINITY) return 0;
  return Math.max(1, Math.floor(remainingMs * TIMEOUT_SHARE));
}

/** The used part of a `pg` client; several statements return an array. */
interface QueryClient {
  query(config: object): Promise<QueryAnswer | QueryAnswer[]>;
}

interface QueryAnswer {
  readonly rows: unknown[];
}

/** Type parsers of `pg` that return the text. */
const AS_TEXT = { getTypeParser: () => (text: unknown) => text };
