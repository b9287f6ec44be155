import type { Clock } from '../clock/clock.js';
import { isOtherHistory, type ServerHistory } from '../segments/settled-frame.js';
import { GrowingPauses } from './growing-pauses.js';
import type { RecoveryLog } from './recovery-log.js';
import { removeFolder, type FolderReport } from './replay-folder.js';
import type { ReplayedFile } from './replayed-file.js';

/** Parts of the stuck folders. @internal */
export interface StuckFoldersParts {
  readonly clock: Clock;
  readonly log: RecoveryLog;
  /** The server that takes the rows, if known. */
  readonly server: () => ServerHistory;
}

interface StuckFolder {
  readonly files: readonly ReplayedFile[];
  /** The server that has the rows. */
  readonly server: ServerHistory;
}

/**
 * Folders whose rows are all settled, with a file that the file system does not remove. It may be
 * mounted read-only, or the file immutable. The folders are replayed once, and removed as soon as
 * possible.
 *
 * @internal
 */
export class StuckFolders {
  readonly #parts: StuckFoldersParts;
  readonly #folders = new Map<string, StuckFolder>();
  readonly #pauses = new GrowingPauses();

  constructor(parts: StuckFoldersParts) {
    this.#parts = parts;
  }

  /** Number of files that stay, and of folders in which no file stays. */
  get count(): number {
    let count = 0;
    for (const { files } of this.#folders.values()) {
      count += Math.max(1, files.filter(({ stuck }) => stuck !== undefined).length);
    }
    return count;
  }

  has(path: string): boolean {
    return this.#folders.has(path);
  }

  /**
   * Whether the present server may lack the rows of a folder, so that they must be replayed again.
   */
  isLost(path: string): boolean {
    const folder = this.#folders.get(path);
    return folder !== undefined && isOtherHistory(folder.server, this.#parts.server());
  }

  add(path: string, { files, stuck = '' }: FolderReport, server: ServerHistory): void {
    this.#folders.set(path, { files, server });
    this.#pauses.noteFailed(path, this.#parts.clock.monotonic());
    this.#parts.log.stuck(path, stuck);
  }

  /**
   * Tries to remove the folders whose pause is over. Never rejects.
   * @returns folders with nothing left to remove; `isLeft`: they contain a file with unsettled rows
   */
  async retry(): Promise<readonly { readonly path: string; readonly isLeft: boolean }[]> {
    const { clock, log } = this.#parts;
    const over: { path: string; isLeft: boolean }[] = [];
    for (const [path, { files }] of this.#folders) {
      if (!this.#pauses.isDue(path, clock.monotonic())) continue;
      if (!(await isRemoved(path, files))) {
        this.#pauses.noteFailed(path, clock.monotonic());
        continue;
      }
      this.#folders.delete(path);
      this.#pauses.forget(path);
      log.freed(path);
      over.push({ path, isLeft: files.some(({ staysInPlace }) => staysInPlace) });
    }
    return over;
  }
}

async function isRemoved(path: string, files: readonly ReplayedFile[]): Promise<boolean> {
  try {
    for (const file of files) await file.finish();
    if (files.some(({ stuck }) => stuck !== undefined)) return false;
    await removeFolder(path);
    return true;
  } catch (error) {
    // Another process has taken the folder.
    return (error as NodeJS.ErrnoException).code === 'ENOENT';
  }
}
