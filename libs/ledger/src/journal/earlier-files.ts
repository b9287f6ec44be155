import { readdir, stat } from 'node:fs/promises';
import { join } from 'node:path';
import { isJournalFile } from './folder-names.js';

/**
 * What runs that have ended left in their journals for this ledger, and is not written yet. It takes room of
 * `journalMaxBytes`: otherwise each start of a crash loop would fill as much again.
 *
 * @internal
 */
export class EarlierFiles {
  /** Of their files, at the last count. */
  bytes = 0;
  /** Sizes of files, by folder and name: a file of a run that has ended does not grow. */
  #sizes = new Map<string, ReadonlyMap<string, number>>();

  /** @param paths of the folders @throws the file system's error; a folder that goes meanwhile has no files */
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
