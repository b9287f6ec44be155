import type { LedgerLogger } from '../ports/ledger-logger.interface.js';
import { isOtherHistory, UNKNOWN_SERVER, type ServerHistory } from '../segments/settled-frame.js';

/**
 * Knows the server that has the settled rows, and tells once of each other one.
 *
 * @internal
 */
export class ServerWatch {
  /** What settled frames name: until rows are handed over the old one, so that the next start does it. */
  current: ServerHistory = UNKNOWN_SERVER;
  /** The server whose promotion was told last. */
  #told: ServerHistory | undefined;

  constructor(private readonly logger: LedgerLogger) {}

  /** @returns whether the server may lack rows that are settled; it is then not the current one yet */
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
      `WARNING: the database is on timeline ${history.timeline}, and was on ${this.current.timeline}: a standby was ` +
        'promoted. Entries that the journal still has are compared with it, and missing ones are written again',
    );
  }
}
