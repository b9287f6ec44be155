import { strict as assert } from 'node:assert';
import { basename, dirname, join } from 'node:path';
import type { JournalFiles } from '../ports/journal-files.interface.js';
import { isLaterName } from './folder-names.js';

/**
 * The descriptor of a file of the journal. It is given back once the file rests and no call in the thread pool uses it:
 * one that is given back earlier may be another file's by then. To be read, a file that rests is opened again.
 *
 * @internal
 */
export class JournalDescriptor {
  readonly #files: JournalFiles;
  readonly #path: string;
  /** Undefined: the file rests. */
  #descriptor: number | undefined;
  #opening: Promise<void> | undefined;
  /** Calls in the thread pool. */
  #busy = 0;
  #isResting = false;

  constructor(files: JournalFiles, path: string, descriptor: number) {
    this.#files = files;
    this.#path = path;
    this.#descriptor = descriptor;
  }

  get isResting(): boolean {
    return this.#isResting;
  }

  get current(): number {
    assert(this.#descriptor !== undefined, 'only a file that is open is written, synced or read');
    return this.#descriptor;
  }

  /** Keeps the descriptor until the work is done. @throws what the work throws */
  async using(work: () => Promise<void>): Promise<void> {
    this.#busy++;
    try {
      await work();
    } finally {
      this.#leave();
    }
  }

  /**
   * As `using`, for work that reads. A file that rests is opened for it, in the folder that another process renamed
   * where it did.
   *
   * @throws the file system's error
   */
  async *reading<T>(work: () => AsyncGenerator<T, void>): AsyncGenerator<T, void> {
    this.#busy++;
    try {
      if (this.#descriptor === undefined) await (this.#opening ??= this.#openAgain());
      yield* work();
    } finally {
      this.#leave();
    }
  }

  async #openAgain(): Promise<void> {
    try {
      this.#descriptor = await this.#files.openToRead(this.#path).catch(async (error: unknown) => {
        if ((error as NodeJS.ErrnoException).code !== 'ENOENT') throw error;
        return this.#files.openToRead(await this.#pathNow());
      });
    } finally {
      this.#opening = undefined;
    }
  }

  /** Where a process that adopted the folder has the file. */
  async #pathNow(): Promise<string> {
    const folder = dirname(this.#path);
    const beside = await this.#files.names(dirname(folder));
    const name = beside.find((each) => isLaterName(each, basename(folder)));
    return join(dirname(folder), name ?? basename(folder), basename(this.#path));
  }

  /** Nothing is written or synced any more. Calling it again does nothing. Never throws. */
  rest(): void {
    this.#isResting = true;
    this.#giveBack();
  }

  #leave(): void {
    this.#busy--;
    if (this.#isResting) this.#giveBack();
  }

  #giveBack(): void {
    const descriptor = this.#descriptor;
    if (descriptor === undefined || this.#busy > 0) return;
    this.#descriptor = undefined;
    try {
      this.#files.close(descriptor);
    } catch {
      // Nothing can be done about it: Linux gives the descriptor back all the same.
    }
  }
}
