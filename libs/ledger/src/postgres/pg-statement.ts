import type { PgConnection, Submittable } from './pg-client.js';

/** A row as texts in the order of the select list; NULL is null. */
export type TextRow = readonly (string | null)[];

/** What the server answered to one statement of several. @internal */
export interface StatementResult {
  /** `COPY 5000`, `INSERT 0 17`, `SELECT 3`; empty for an empty query. */
  readonly tag: string;
  /** Columns as text, null for NULL. */
  readonly rows: readonly (readonly (string | null)[])[];
}

/**
 * A query of our own for `client.query()`. No handler throws: what goes wrong rejects `results`.
 *
 * New -> submitted (`submit`) -> answered (ReadyForQuery), failed (an error of the server, of the
 * connection or of ours), or abandoned. After an ErrorResponse `pg` forgets the query, and
 * its ReadyForQuery is told to nobody; hence the connection must be asked again before it is used.
 *
 * @internal
 */
export abstract class PgStatement implements Submittable {
  /** One result per statement, in order; rejects with the raw error, which holds users' text. */
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
    // A statement may be given up before anybody waits for it.
    this.results.catch(() => {});
  }

  /** True if nothing that comes from the server matters any more. */
  protected get isOver(): boolean {
    return this.#isOver;
  }

  protected get resultCount(): number {
    return this.#results.length;
  }

  /** True if the server may commit, or have committed, without another byte from here. */
  abstract get mayHaveCommitted(): boolean;

  /** True if the server said that it committed, whatever comes afterwards. */
  protected abstract get isCommitted(): boolean;

  /** Sends what can be sent before the server's first answer. */
  protected abstract begin(connection: PgConnection): void;

  /** Sends nothing more than the protocol asks for. */
  protected abstract halt(): void;

  /** Nobody waits any more; the connection is about to be destroyed. */
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
