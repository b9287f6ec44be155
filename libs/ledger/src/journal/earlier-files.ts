import { readdir, stat } from 'node:fs/promises';
import { join } from 'node:path';
import { isJournalFile } from './folder-names.js';

/**
 * Unwritten files in the journals of ended runs of this ledger. They use room of `journalMaxBytes`.
 * Otherwise each start in a crash loop could fill the same room again.
 *
 * @internal
 */
export class EarlierFiles {
  /** Total size of the files at the last count. */
  bytes = 0;
  /** Sizes of files, by folder and name: a file of an ended run does not grow. */
  #sizes = new Map<string, ReadonlyMap<string, number>>();

  /**
   * @param paths of the folders
   * @throws the file system's error; a folder that disappears meanwhile has no files
   */
  async count(paths: Iterable<string>): Promise<void> {
    const sizes = new Map<string, ReadonlyMap<string, number>>();
    for (const path of paths) sizes.set(path, await sizesIn(path, this.#sizes.get(path)));
    this.#sizes = sizes;
    let bytes = 0;
    for (const folder of sizes.values()) for (const size of folder.values()) bytes += size;
    this.bytes = bytes;
  }
}

async function sizesIn(
  path: string,
  known: ReadonlyMap<string, number> = new Map(),
): Promise<ReadonlyMap<string, number>> {
  const sizes = new Map<string, number>();
  try {
    for (const name of (await readdir(path)).filter(isJournalFile)) {
      sizes.set(name, known.get(name) ?? (await stat(join(path, name))).size);
    }
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'ENOENT') throw error;
  }
  return sizes;
}
