import { rmdir, stat } from 'node:fs/promises';
import { dirname, resolve } from 'node:path';

/**
 * Runs a check that may create folders, and removes the created ones. A folder that is no longer
 * empty is in use and stays.
 *
 * @throws the error of the check
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

/** The missing folders of a path, deepest first. */
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
