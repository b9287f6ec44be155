import { copyMessages, queryMessage } from './frontend-messages.js';
import type { PgConnection } from './pg-client.js';
import { PgStatement } from './pg-statement.js';
import { StreamPump } from './stream-pump.js';

/**
 * Several statements in one simple query, hence one transaction and one round trip. One of them may
 * be a binary `COPY … FROM STDIN`, whose rows are sent directly from the channel's memory.
 *
 * @internal
 */
export class CopyStatement extends PgStatement {
  #pump: StreamPump | undefined;

  /**
   * @param statements SQL without trailing semicolons
   * @param slices the rows, contiguous; empty if no statement is a COPY
   */
  constructor(
    private readonly statements: readonly string[],
    private readonly slices: readonly Buffer[],
  ) {
    super();
  }

  /** Without CopyDone the server can only roll back; it commits after the last statement. */
  get mayHaveCommitted(): boolean {
    return this.#pump?.isDone === true;
  }

  protected get isCommitted(): boolean {
    return this.resultCount === this.statements.length;
  }

  /**
   * The rows follow the query at once, which saves a round trip and a wake-up of both sides. A
   * server that refuses the query discards them, according to the protocol. Source: PostgreSQL 18,
   * "Message Flow", COPY Operations.
   */
  protected begin(connection: PgConnection): void {
    const query = queryMessage(this.statements.join(';\n'));
    if (this.slices.length === 0) {
      connection.stream.write(query);
      return;
    }
    this.#pump = new StreamPump(connection.stream, queryAndRows(query, this.slices), (error) =>
      this.fail(error),
    );
    this.#pump.start();
  }

  override handleCopyInResponse(connection: PgConnection): void {
    if (this.#pump === undefined) super.handleCopyInResponse(connection);
  }

  /** The server discards data under way, and the pump stops between two messages. */
  protected halt(): void {
    this.#pump?.stop();
  }
}

function* queryAndRows(query: Buffer, slices: readonly Buffer[]): Generator<Buffer[], void> {
  let head = [query];
  for (const piece of copyMessages(slices)) {
    yield [...head, ...piece];
    head = [];
  }
}

/** Answered as soon as the server has processed everything sent before. @internal */
export class EmptyStatement extends CopyStatement {
  constructor() {
    super([''], []);
  }
}
