import { dirname, join } from 'node:path';
import type { Clock } from '../clock/clock.js';
import type { JournalFiles } from '../ports/journal-files.interface.js';
import { isOtherHistory, UNKNOWN_SERVER, type ServerHistory } from '../segments/settled-frame.js';
import { GrowingPauses } from './growing-pauses.js';
import { removeFolder } from './replay-folder.js';
import type { FoundFolder } from './scan-folders.js';

/** What decides how long files are kept. @internal */
export interface KeptFoldersParts {
  /** Milliseconds since the last frame of a file. */
  readonly keepMs: number;
  /** Of all kept files of earlier runs together. */
  readonly maxBytes: number;
  /** The server that takes the rows, as far as it is known. */
  readonly server: () => ServerHistory;
  readonly clock: Clock;
  readonly files: Pick<JournalFiles, 'unlink'>;
  /** Hears of a folder with a file that can't be unlinked, and why: a code. */
  readonly onStuck: (folder: string, code: string) => void;
}

/**
 * Adopted folders whose rows are all settled, kept in case that a standby is promoted which has not got
 * them.
 *
 * @internal
 */
export class KeptFolders {
  readonly #parts: KeptFoldersParts;
  /** The server that has the rows, by the folder's path. */
  readonly #servers = new Map<string, ServerHistory>();
  /** Paths of files among them with rows that are not settled. */
  readonly #staying = new Set<string>();
  readonly #pauses = new GrowingPauses();

  constructor(parts: KeptFoldersParts) {
    this.#parts = parts;
  }

  /** @param staying paths of files in the folder with rows that are not settled: they are never unlinked */
  keep(path: string, server: ServerHistory, staying: readonly string[]): void {
    this.#servers.set(path, server);
    for (const each of staying) this.#staying.add(each);
  }

  has(path: string): boolean {
    return this.#servers.has(path);
  }

  /** Whether the server that takes rows now may lack those of a kept folder. */
  isLost(path: string): boolean {
    return isOtherHistory(this.#servers.get(path) ?? UNKNOWN_SERVER, this.#parts.server());
  }

  /**
   * Unlinks files that were kept long enough, and the oldest where all take too much room.
   *
   * @returns folders with nothing left to keep; `isLeft`: a file with rows that are not settled is in it
   * @throws the file system's error
   */
  async retire(
    folders: readonly FoundFolder[],
  ): Promise<readonly { readonly path: string; readonly isLeft: boolean }[]> {
    const { keepMs, maxBytes, clock } = this.#parts;
    const settled = folders.filter(({ path }) => this.has(path) && !this.isLost(path));
    const oldestFirst = settled
      .flatMap(({ path, files }) => files.map((file) => ({ folder: path, ...file })))
      .filter(({ folder, name }) => !this.#staying.has(join(folder, name)))
      .sort((one, other) => one.changedAt - other.changedAt);
    let bytes = oldestFirst.reduce((sum, file) => sum + file.bytes, 0);
    const left = new Set<string>();
    for (const { folder, name, bytes: freed, changedAt } of oldestFirst) {
      const isKept = clock.now() - changedAt < keepMs && bytes <= maxBytes;
      // One that can't be unlinked must not keep the others.
      if (isKept || !(await this.#isUnlinked(folder, name))) left.add(folder);
      else bytes -= freed;
    }
    const gone = settled.map(({ path }) => path).filter((path) => !left.has(path));
    for (const path of gone) {
      this.#servers.delete(path);
      await removeFolder(path);
    }
    return gone.map((path) => {
      const isLeft = [...this.#staying].some((each) => dirname(each) === path);
      return { path, isLeft };
    });
  }

  async #isUnlinked(folder: string, name: string): Promise<boolean> {
    const { clock, files, onStuck } = this.#parts;
    const path = join(folder, name);
    if (!this.#pauses.isDue(path, clock.monotonic())) return false;
    try {
      await files.unlink(path);
    } catch (error) {
      const { code = 'unknown error' } = error as NodeJS.ErrnoException;
      if (code !== 'ENOENT') {
        this.#pauses.noteFailed(path, clock.monotonic());
        onStuck(folder, code);
        return false;
      }
    }
    this.#pauses.forget(path);
    return true;
  }
}
