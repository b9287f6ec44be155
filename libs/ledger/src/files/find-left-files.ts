import { lstat, readdir } from 'node:fs/promises';
import { join } from 'node:path';
import { isBeingWritten, isOfOther, isSpill } from './file-names.js';

/** Spills that were not replayed. @internal */
export interface LeftFiles {
  readonly dir: string;
  readonly files: number;
  readonly bytes: number;
  /** Milliseconds since 1970 of the oldest file's last write. */
  readonly oldest: number;
}

/**
 * Spills of one ledger in a folder, except those of other ledgers and those whose writer may be
 * running.
 *
 * @returns undefined if there are none. Never rejects.
 * @internal
 */
export async function findLeftFiles(dir: string, ledger: string): Promise<LeftFiles | undefined> {
  const names = await readdir(dir).catch((): string[] => []);
  const paths = names
    .filter((name) => isSpill(name) && !isOfOther(name, ledger))
    .map((name) => join(dir, name))
    .filter((path) => !isBeingWritten(path));
  // A replay may move one meanwhile.
  const found = await Promise.all(paths.map((path) => lstat(path).catch(() => undefined)));
  const files = found.filter((each) => each?.isFile() === true);
  if (files.length === 0) return undefined;
  return {
    dir,
    files: files.length,
    bytes: files.reduce((sum, each) => sum + each!.size, 0),
    oldest: Math.min(...files.map((each) => each!.mtimeMs)),
  };
}
