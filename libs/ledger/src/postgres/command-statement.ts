import { commandMessages } from './frontend-messages.js';
import type { Command } from './frontend-messages.js';
import type { PgConnection } from './pg-client.js';
import { PgStatement } from './pg-statement.js';
import { StreamPump } from './stream-pump.js';

/**
 * Commands with binary parameters, sent with one Sync: one transaction and one round trip.
 *
 * @internal
 */
export class CommandStatement extends PgStatement {
  #pump: StreamPump | undefined;
  #isAbandoned = false;

  constructor(private readonly commands: readonly Command[]) {
    super();
  }

  /** Without the Sync the server can only roll back. */
  get mayHaveCommitted(): boolean {
    return this.#pump?.isDone === true;
  }

  /**
   * The server commits at the Sync, after the last command's answer, so only ReadyForQuery shows
   * it.
   */
  protected get isCommitted(): boolean {
    return false;
  }

  protected begin(connection: PgConnection): void {
    this.#pump = new StreamPump(connection.stream, commandMessages(this.commands), (error) =>
      this.fail(error),
    );
    this.#pump.start();
  }

  override abandon(): void {
    this.#isAbandoned = true;
    super.abandon();
  }

  /** After an error the server reads up to the Sync, which must be sent unless nothing reads it. */
  protected halt(): void {
    if (this.#isAbandoned) this.#pump?.stop();
  }
}
