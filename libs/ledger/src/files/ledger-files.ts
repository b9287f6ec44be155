import { FileDeadLetterStore } from './file-dead-letter-store.js';
import { FileSpillStore } from './file-spill-store.js';

/**
 * The files of one ledger in its spill directory: spills, and dead letters that the table does not
 * take.
 *
 * @internal
 */
export class LedgerFiles {
  readonly spills: FileSpillStore;
  readonly deadLetters: FileDeadLetterStore;
  /** Whether the directory could not be used when it was tried or written to last. */
  isUnavailable = false;

  /** @param dir relative to the working directory; made when it is first needed */
  constructor(dir: string, ledger: string) {
    const onWrite = (isTaken: boolean): void => {
      this.isUnavailable = !isTaken;
    };
    this.spills = new FileSpillStore({ dir, ledger, onWrite });
    this.deadLetters = new FileDeadLetterStore({ dir, ledger, onWrite });
  }

  /** Tries the directory. @returns why it can't be used, or undefined. Never rejects. */
  async probe(): Promise<string | undefined> {
    try {
      await this.spills.probe();
      this.isUnavailable = false;
      return undefined;
    } catch (error) {
      this.isUnavailable = true;
      return (error as NodeJS.ErrnoException).code ?? 'unknown error';
    }
  }

  /** Gives files that are still open their final names. Never rejects. */
  close(): Promise<void> {
    return this.deadLetters.close();
  }
}
