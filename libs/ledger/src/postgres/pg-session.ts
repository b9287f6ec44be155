import type { Deadline } from '../clock/deadline.js';
import type { QueryFunction } from './load-catalog.js';
import type { PgLease } from './pg-lease.js';
import type { PgStatement, StatementResult, TextRow } from './pg-statement.js';
import { LIFT_TRANSACTION_TIMEOUT } from './transaction-timeout.js';

/** How one transaction is run. @internal */
export interface TransactionOptions {
  /** Default `READ COMMITTED`, whatever the server's default is. */
  readonly isolation?: 'READ COMMITTED' | 'REPEATABLE READ';
  /** Default: false. */
  readonly isReadOnly?: boolean;
  /** Milliseconds for each statement. Default: nine tenths of what the session has left. */
  readonly timeoutMs?: number;
  /** Milliseconds that a statement waits for a lock. Default: `timeoutMs`. */
  readonly lockTimeoutMs?: number;
  /** Further settings for this transaction alone: name and value as SQL. */
  readonly settings?: Readonly<Record<string, string>>;
}

/** The server gives up first, so that its answer has time to come. */
const TIMEOUT_SHARE = 0.9;

/**
 * One connection, held for some statements until a deadline. This is the only way in which the
 * library talks to PostgreSQL.
 *
 * @internal
 */
export class PgSession {
  #onReturned: () => void = () => {};

  /**
   * @param deadline of all statements together
   * @param schema of the connection's options; counts where a definition has none
   */
  constructor(
    private readonly lease: PgLease,
    readonly deadline: Deadline,
    readonly schema: string | undefined,
  ) {}

  /** True while statements can be run. */
  get isHeld(): boolean {
    return this.lease.isHeld;
  }

  /**
   * Runs one statement, or several without values; answers with the rows of the last one. Each value
   * is the server's text, whatever type parsers the application has set.
   *
   * @throws the error of `pg`, or DeadlineError; the connection is not used again unless the server
   *   answered
   */
  async rows<T = Record<string, string | null>>(
    sql: string,
    values: readonly unknown[] = [],
  ): Promise<T[]> {
    return (await this.#query({ text: sql, values, types: AS_TEXT })) as T[];
  }

  /** `rows` for what may also be asked through TypeORM's QueryRunner. */
  readonly query: QueryFunction = (sql, values) => this.rows(sql, values);

  /** As `rows`, each row as an array in the order of the select list. */
  async texts(sql: string, values: readonly unknown[] = []): Promise<TextRow[]> {
    const query = { text: sql, values, types: AS_TEXT, rowMode: 'array' };
    return (await this.#query(query)) as TextRow[];
  }

  /**
   * Runs a statement that speaks the protocol itself: COPY, or several commands with binary
   * parameters in one round trip. When it rejects, the connection is ready for the next one, which
   * was tried, or discarded.
   *
   * @param copyTarget unquoted name of the table that rows are copied to
   * @throws StatementError
   */
  run(statement: PgStatement, copyTarget?: string): Promise<readonly StatementResult[]> {
    return this.lease.run(statement, this.deadline, copyTarget);
  }

  /**
   * Runs `work` in a transaction, and rolls it back if that throws.
   *
   * @throws what `work` throws; the error of `pg` or DeadlineError of BEGIN or COMMIT
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

  /** Never rejects: of a connection that is lost the server rolls back by itself. */
  async rollback(): Promise<void> {
    if (this.isHeld) await this.rows('ROLLBACK').catch(() => []);
  }

  /**
   * Reads a large result page by page. Needs a transaction.
   *
   * @param pageRows rows of one round trip; as many are in memory at once
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

  /** Calls back when the pool has the connection again, or has heard that it is lost. */
  whenReturned(callback: () => void): void {
    const { client } = this.lease;
    // The server ends a session whose transaction is left alone, and then nobody may give it back.
    client.once('end', callback);
    this.#onReturned = () => {
      client.removeListener('end', callback);
      callback();
    };
  }

  /** Hands the connection back if it is fit for the next user. Never rejects. */
  async giveBack(): Promise<void> {
    await this.lease.giveBack();
    this.#onReturned();
  }

  /** Destroys the connection without asking the server. Never rejects. */
  async discard(): Promise<void> {
    await this.lease.discard();
    this.#onReturned();
  }

  async #query(config: object): Promise<unknown[]> {
    const client = this.lease.client as unknown as QueryClient;
    try {
      const query = client.query(config);
      // After the deadline nobody waits for it.
      query.catch(() => {});
      const answer = await this.deadline.race(query);
      return (Array.isArray(answer) ? answer.at(-1)! : answer).rows;
    } catch (error) {
      if (!isAnswer(error)) await this.discard();
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

/** The session's own settings may say otherwise: `pg` reads UTF-8, and names are compared as they are. */
const AS_THE_LEDGER_READS = { client_encoding: 'UTF8', quote_all_identifiers: 'off' };

/** 0, which is no limit, for a session without a deadline. */
function timeoutOf({ remainingMs }: Deadline): number {
  if (remainingMs === Number.POSITIVE_INFINITY) return 0;
  return Math.max(1, Math.floor(remainingMs * TIMEOUT_SHARE));
}

/** What is used of a `pg` client; it answers with an array to several statements. */
interface QueryClient {
  query(config: object): Promise<QueryAnswer | QueryAnswer[]>;
}

interface QueryAnswer {
  readonly rows: unknown[];
}

/** Type parsers of `pg` that parse nothing. */
const AS_TEXT = { getTypeParser: () => (text: unknown) => text };

/** The server said so, and the connection goes on. */
function isAnswer(error: unknown): boolean {
  return typeof (error as { severity?: unknown }).severity === 'string';
}
