import { rmdir, stat } from 'node:fs/promises';
import { dirname, resolve } from 'node:path';

/**
 * Runs a check that makes a folder where there was none, and removes what it made. A folder that is no
 * longer empty is somebody else's by then, and stays.
 *
 * @throws what the check throws
 * @internal
 */
export async function leaveNoFolders<T>(dir: string, check: () => Promise<T>): Promise<T> {
  const missing = await missingFolders(dir);
  try {
    return await check();
  } finally {
    for (const folder of missing) await rmdir(folder).catch(() => undefined);
  }
}

/** Of a path what is not there, the deepest first. */
async function missingFolders(dir: string): Promise<string[]> {
  const missing: string[] = [];
  for (let path = resolve(dir); path !== dirname(path); path = dirname(path)) {
    const isThere = await stat(path).then(
      () => true,
      () => false,
    );
    if (isThere) break;
    missing.push(path);
  }
  return missing;
}
