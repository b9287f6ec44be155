import { dirname, join } from 'node:path';
import type { Clock } from '../clock/clock.js';
import type { JournalFiles } from '../ports/journal-files.interface.js';
import { isOtherHistory, UNKNOWN_SERVER, type ServerHistory } from '../segments/settled-frame.js';
import { GrowingPauses } from './growing-pauses.js';
import { removeFolder } from './replay-folder.js';
import type { FoundFolder } from './scan-folders.js';

/** Limits for kept files. @internal */
export interface KeptFoldersParts {
  /** Milliseconds since the last frame of a file. */
  readonly keepMs: number;
  /** Maximum bytes of all kept files of earlier runs together. */
  readonly maxBytes: number;
  /** The server that takes the rows, if known. */
  readonly server: () => ServerHistory;
  readonly clock: Clock;
  readonly files: Pick<JournalFiles, 'unlink'>;
  /** Called for a folder with a file that can't be unlinked, with the error code. */
  readonly onStuck: (folder: string, code: string) => void;
}

/**
 * Adopted folders whose rows are all settled. They are kept for the promotion of a standby that
 * lacks these rows.
 *
 * @internal
 */
export class KeptFolders {
  readonly #parts: KeptFoldersParts;
  /** The server that has the rows, by path of the folder. */
  readonly #servers = new Map<string, ServerHistory>();
  /** Paths of files in these folders with unsettled rows. */
  readonly #staying = new Set<string>();
  readonly #pauses = new GrowingPauses();

  constructor(parts: KeptFoldersParts) {
    this.#parts = parts;
  }

  /** @param staying paths of files in the folder with unsettled rows, which are never unlinked */
  keep(path: string, server: ServerHistory, staying: readonly string[]): void {
    this.#servers.set(path, server);
    for (const each of staying) this.#staying.add(each);
  }

  has(path: string): boolean {
    return this.#servers.has(path);
  }

  /** Whether the present server may lack the rows of a kept folder. */
  isLost(path: string): boolean {
    return isOtherHistory(this.#servers.get(path) ?? UNKNOWN_SERVER, this.#parts.server());
  }

  /**
   * Unlinks files after their keeping time, and the oldest ones if all take too much room.
   *
   * @returns folders with nothing left to keep; `isLeft`: they contain a file with unsettled rows
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
      // A file that can't be unlinked must not keep the others.
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
