import { systemClock, type Clock, type Timer } from '../clock/clock.js';
import { findLeftFiles, type LeftFiles } from './find-left-files.js';
import { FileDeadLetterStore } from './file-dead-letter-store.js';
import { FileSpillStore } from './file-spill-store.js';
import { UnsafeFolderError } from './private-folder.js';

/** Milliseconds until a directory that failed is tested again: it may be writable now. */
const AGAIN_MS = 60_000;

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
  readonly #clock: Pick<Clock, 'after'>;
  #timer: Timer | undefined;
  #isClosed = false;

  /** @param dir relative to the working directory; created when first needed */
  constructor(dir: string, ledger: string, clock: Pick<Clock, 'after'> = systemClock) {
    this.#dir = dir;
    this.#ledger = ledger;
    this.#clock = clock;
    const onWrite = (isTaken: boolean): void => this.#note(isTaken);
    this.spills = new FileSpillStore({ dir, ledger, onWrite });
    this.deadLetters = new FileDeadLetterStore({ dir, ledger, onWrite });
  }

  /** Tests the directory. Never rejects. */
  async probe(): Promise<ProbedFolder> {
    try {
      const risk = await this.spills.probe();
      this.#note(true);
      return { fault: undefined, risk };
    } catch (error) {
      this.#note(false);
      return { fault: faultOf(error), risk: undefined };
    }
  }

  /** Looks for spills of earlier runs. @returns undefined if there are none. Never rejects. */
  findLeft(): Promise<LeftFiles | undefined> {
    return findLeftFiles(this.#dir, this.#ledger);
  }

  #note(isAvailable: boolean): void {
    this.isUnavailable = !isAvailable;
    this.#timer?.cancel();
    if (isAvailable || this.#isClosed) return;
    this.#timer = this.#clock.after(AGAIN_MS, () => void this.probe());
  }

  /** Gives open files their final names. Never rejects. */
  close(): Promise<void> {
    this.#isClosed = true;
    this.#timer?.cancel();
    return this.deadLetters.close();
  }
}

function faultOf(error: unknown): string {
  if (error instanceof UnsafeFolderError) return error.message;
  return (error as NodeJS.ErrnoException).code ?? 'unknown error';
}
