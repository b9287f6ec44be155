import { strict as assert } from 'node:assert';
import { basename, dirname, join } from 'node:path';
import type { JournalFiles } from '../ports/journal-files.interface.js';
import { isLaterName } from './folder-names.js';

/**
 * The descriptor of a journal file. It is closed once the file is resting and no call in the thread
 * pool uses it. If it were closed earlier, the number could already belong to another file. A
 * resting file is opened again for reads.
 *
 * @internal
 */
export class JournalDescriptor {
  readonly #files: JournalFiles;
  readonly #path: string;
  /** Undefined: the file is resting. */
  #descriptor: number | undefined;
  #opening: Promise<void> | undefined;
  /** Number of calls in the thread pool. */
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

  /** Keeps the descriptor during the work. @throws any error of the work */
  async using(work: () => Promise<void>): Promise<void> {
    this.#busy++;
    try {
      await work();
    } finally {
      this.#leave();
    }
  }

  /**
   * Like `using`, for reads. A resting file is opened again, also in a folder that another process
   * has renamed.
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

  /** Path of the file in the folder of an adopter. */
  async #pathNow(): Promise<string> {
    const folder = dirname(this.#path);
    const beside = await this.#files.names(dirname(folder));
    const name = beside.find((each) => isLaterName(each, basename(folder)));
    return join(dirname(folder), name ?? basename(folder), basename(this.#path));
  }

  /**
   * Closes the descriptor once it is unused: nothing more is written or synced. A second call does
   * nothing. Never throws.
   */
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
      // Nothing can be done: Linux releases the descriptor anyway.
    }
  }
}
