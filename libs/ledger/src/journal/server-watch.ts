import type { LedgerLogger } from '../ports/ledger-logger.interface.js';
import { isOtherHistory, UNKNOWN_SERVER, type ServerHistory } from '../segments/settled-frame.js';

/**
 * Remembers the server that has the settled rows, and reports each other server once.
 *
 * @internal
 */
export class ServerWatch {
  /**
   * The server in settled frames. Until rows are handed over it is the old one, so that the next
   * start can hand them over.
   */
  current: ServerHistory = UNKNOWN_SERVER;
  /** The server whose promotion was reported last. */
  #told: ServerHistory | undefined;

  constructor(private readonly logger: LedgerLogger) {}

  /** @returns whether the server may lack settled rows; it is then not yet the current one */
  note(history: ServerHistory): boolean {
    if (!isOtherHistory(this.current, history)) {
      this.current = history;
      return false;
    }
    if (this.#told === undefined || isOtherHistory(this.#told, history)) this.#tell(history);
    return true;
  }

  #tell(history: ServerHistory): void {
    this.#told = history;
    this.logger.warn(
      `WARNING: the database moved from timeline ${this.current.timeline} to timeline ${history.timeline}: a standby was ` +
        'promoted. The entries in the journal are compared with the table, and missing ones are written again',
    );
  }
}
