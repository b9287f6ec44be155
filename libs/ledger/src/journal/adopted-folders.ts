import { closeSync } from 'node:fs';
import { rename, unlink, utimes } from 'node:fs/promises';
import { join } from 'node:path';
import type { Clock } from '../clock/clock.js';
import type { LedgerTable } from '../entry/ledger-definition.js';
import { createFileSync } from '../files/create-file.js';
import type { SegmentTarget } from '../segments/segment-description.js';
import { adoptedName, OWNER_FILE, RELEASED_FILE } from './folder-names.js';
import { writeOwner } from './folder-owner.js';
import { ownIdentity } from './process-identity.js';
import type { FoundFolder } from './scan-folders.js';

/** Parts of the adopted folders. @internal */
export interface AdoptedFoldersParts {
  /** The ledger's folder: `<journalDir>/<ledger>`. */
  readonly dir: string;
  readonly table: LedgerTable;
  /** Id of this run, eight hex digits. */
  readonly run: string;
  readonly clock: Clock;
}

/**
 * Folders of other runs that this run has adopted, by path. Other runs leave them alone as long as
 * this run gives signs of life.
 *
 * @internal
 */
export class AdoptedFolders implements Iterable<string> {
  readonly #parts: AdoptedFoldersParts;
  readonly #paths = new Set<string>();

  constructor(parts: AdoptedFoldersParts) {
    this.#parts = parts;
  }

  [Symbol.iterator](): Iterator<string> {
    return this.#paths.values();
  }

  /**
   * Adopts a folder. The rename decides between two processes.
   * @returns its new path
   * @throws ENOENT: another process was quicker; the file system's error
   */
  async adopt(folder: FoundFolder, target: SegmentTarget): Promise<string> {
    const { dir, run, table } = this.#parts;
    const path = join(dir, adoptedName(folder.name, run));
    if (path !== folder.path) await rename(folder.path, path);
    this.#paths.add(path);
    const author = ownIdentity();
    const owner = { ledger: table.name, run, target: folder.owner?.target ?? target, author };
    await writeOwner(path, owner).catch((error: unknown) => {
      // A full disk takes no owner record, and the replay is what frees the disk. Without a record,
      // other processes only judge by signs of life.
      if ((error as NodeJS.ErrnoException).code === 'ENOENT') throw error;
    });
    await unlink(join(path, RELEASED_FILE)).catch(() => undefined);
    return path;
  }

  /** Forgets a folder that is gone, or needs no owner. */
  forget(path: string): void {
    this.#paths.delete(path);
  }

  /** Gives one sign of life in each folder. Never throws. */
  showLife(): void {
    const now = new Date(this.#parts.clock.now());
    for (const path of this.#paths) {
      utimes(join(path, OWNER_FILE), now, now).catch(() => undefined);
    }
  }

  /** Releases all folders to any process, without a wait. Never throws. */
  release(): void {
    for (const path of this.#paths) {
      try {
        const descriptor = createFileSync(join(path, RELEASED_FILE));
        if (descriptor !== undefined) closeSync(descriptor);
      } catch {
        // Another process takes it after three missed signs of life.
      }
    }
  }
}
