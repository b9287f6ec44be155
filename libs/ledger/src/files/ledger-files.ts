import { findLeftFiles, type LeftFiles } from './find-left-files.js';
import { FileDeadLetterStore } from './file-dead-letter-store.js';
import { FileSpillStore } from './file-spill-store.js';
import { UnsafeFolderError } from './private-folder.js';

/** The state of a directory for files. @internal */
export interface ProbedFolder {
  /** The reason why it can't be used. */
  readonly fault: string | undefined;
  /** What other users can do to files in it, and the remedy. */
  readonly risk: string | undefined;
}

/**
 * The files of one ledger in its spill directory: spills, and dead letters that the table refused.
 *
 * @internal
 */
export class LedgerFiles {
  readonly spills: FileSpillStore;
  readonly deadLetters: FileDeadLetterStore;
  /** Whether the last test or write of the directory failed. */
  isUnavailable = false;

  readonly #dir: string;
  readonly #ledger: string;

  /** @param dir relative to the working directory; created when first needed */
  constructor(dir: string, ledger: string) {
    this.#dir = dir;
    this.#ledger = ledger;
    const onWrite = (isTaken: boolean): void => {
      this.isUnavailable = !isTaken;
    };
    this.spills = new FileSpillStore({ dir, ledger, onWrite });
    this.deadLetters = new FileDeadLetterStore({ dir, ledger, onWrite });
  }

  /** Tests the directory. Never rejects. */
  async probe(): Promise<ProbedFolder> {
    try {
      const risk = await this.spills.probe();
      this.isUnavailable = false;
      return { fault: undefined, risk };
    } catch (error) {
      this.isUnavailable = true;
      return { fault: faultOf(error), risk: undefined };
    }
  }

  /** Looks for spills of earlier runs. @returns undefined if there are none. Never rejects. */
  findLeft(): Promise<LeftFiles | undefined> {
    return findLeftFiles(this.#dir, this.#ledger);
  }

  /** Gives open files their final names. Never rejects. */
  close(): Promise<void> {
    return this.deadLetters.close();
  }
}

function faultOf(error: unknown): string {
  if (error instanceof UnsafeFolderError) return error.message;
  return (error as NodeJS.ErrnoException).code ?? 'unknown error';
}
