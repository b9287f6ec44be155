import type { PgConnection, Submittable } from './pg-client.js';

/** A row as texts in the order of the select list; NULL is null. */
export type TextRow = readonly (string | null)[];

/** The server's answer to one statement of several. @internal */
export interface StatementResult {
  /** `COPY 5000`, `INSERT 0 17`, `SELECT 3`; empty for an empty query. */
  readonly tag: string;
  /** Columns as text, null for NULL. */
  readonly rows: readonly (readonly (string | null)[])[];
}

/**
 * The library's own query for `client.query()`. No handler throws: errors reject `results`.
 *
 * New -> submitted (`submit`) -> answered (ReadyForQuery), failed (an error of the server, the
 * connection or the library), or abandoned. After an ErrorResponse `pg` forgets the query and
 * reports its ReadyForQuery to nothing. The connection must therefore be tested again before use.
 *
 * @internal
 */
export abstract class PgStatement implements Submittable {
  /** One result per statement, in order; rejects with the raw error, which contains users' text. */
  readonly results: Promise<readonly StatementResult[]>;
  callback: () => void = () => {};
  readonly #results: StatementResult[] = [];
  #rows: (string | null)[][] = [];
  #isOver = false;
  #resolve!: (results: readonly StatementResult[]) => void;
  #reject!: (error: unknown) => void;

  constructor() {
    this.results = new Promise((resolve, reject) => {
      this.#resolve = resolve;
      this.#reject = reject;
    });
    // A statement may be abandoned before anything awaits it.
    this.results.catch(() => {});
  }

  /** True if further messages of the server are ignored. */
  protected get isOver(): boolean {
    return this.#isOver;
  }

  protected get resultCount(): number {
    return this.#results.length;
  }

  /** True if the server may commit, or may have committed, without another byte from here. */
  abstract get mayHaveCommitted(): boolean;

  /** True if the server reported the commit, independent of later messages. */
  protected abstract get isCommitted(): boolean;

  /** Sends all that can be sent before the server's first answer. */
  protected abstract begin(connection: PgConnection): void;

  /** Sends only the minimum that the protocol requires. */
  protected abstract halt(): void;

  /** Nothing waits any more; the connection is about to be destroyed. */
  abandon(): void {
    this.#end();
    this.halt();
  }

  submit(connection: PgConnection): Error | null {
    try {
      if (this.#isOver) return new Error('the statement was cancelled before it was sent');
      if (!connection.stream.writable) return new Error('the connection has ended');
      this.begin(connection);
      return null;
    } catch (error) {
      return error instanceof Error ? error : new Error('could not send');
    }
  }

  handleRowDescription(): void {}

  handleDataRow(message: { fields: (string | null)[] }): void {
    this.#rows.push(message.fields);
  }

  handleCommandComplete(message: { text: string }): void {
    this.#results.push({ tag: message.text, rows: this.#rows });
    this.#rows = [];
  }

  handleEmptyQuery(): void {
    this.handleCommandComplete({ text: '' });
  }

  handlePortalSuspended(): void {}

  handleCopyInResponse(_connection: PgConnection): void {
    this.fail(new Error('the server asked for rows that nobody has'));
  }

  handleCopyData(): void {}

  handleError(error: unknown): void {
    if (this.isCommitted) this.#settle();
    else this.fail(error);
  }

  handleReadyForQuery(): void {
    this.#settle();
  }

  protected fail(error: unknown): void {
    if (this.#isOver) return;
    this.#end();
    this.halt();
    this.#reject(error);
  }

  #end(): void {
    this.#isOver = true;
    this.callback();
  }

  #settle(): void {
    if (this.#isOver) return;
    this.#end();
    this.#resolve(this.#results);
  }
}
