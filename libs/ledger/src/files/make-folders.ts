import { existsSync, lstatSync, mkdirSync } from 'node:fs';
import { mkdir, stat } from 'node:fs/promises';
import { dirname } from 'node:path';

const FOLDER = { mode: 0o700 };

/** A kernel's file system, such as `/proc`, in which no folder can be created. @internal */
export class NoFoldersError extends Error {
  readonly code = 'NO_FOLDERS';
}

/**
 * Creates a folder and those above it, for their owner only; an existing one is accepted. It works
 * like `mkdir` with `recursive`, which alone never returns below `/proc`: Node 20.20 takes ENOENT
 * for a missing parent, and retries forever.
 *
 * @param path absolute
 * @returns the uppermost created folder; undefined if all existed
 * @throws NoFoldersError if the file system accepts no folders; else its error
 * @internal
 */
export async function makeFolders(path: string): Promise<string | undefined> {
  const first = await firstMissingLater(path);
  const isMade =
    first !== undefined &&
    (await mkdir(first, FOLDER).then(
      () => true,
      (error: unknown) => check(error, first),
    ));
  const made = await mkdir(path, { ...FOLDER, recursive: true });
  return isMade ? first : made;
}

/** Synchronous `makeFolders`. @internal */
export function makeFoldersSync(path: string): string | undefined {
  const first = firstMissing(path);
  const isMade = first !== undefined && makeSync(first);
  const made = mkdirSync(path, { ...FOLDER, recursive: true });
  return isMade ? first : made;
}

function makeSync(folder: string): boolean {
  try {
    mkdirSync(folder, FOLDER);
    return true;
  } catch (error) {
    return check(error, folder);
  }
}

function firstMissing(path: string): string | undefined {
  let missing: string | undefined;
  for (let folder = path; !existsSync(folder) && folder !== dirname(folder);) {
    missing = folder;
    folder = dirname(folder);
  }
  return missing;
}

/**
 * Like `firstMissing`, in the thread pool, because a network's file system may not answer for long.
 */
async function firstMissingLater(path: string): Promise<string | undefined> {
  const isThere = (folder: string): Promise<boolean> =>
    stat(folder).then(
      () => true,
      () => false,
    );
  let missing: string | undefined;
  for (let folder = path; !(await isThere(folder)) && folder !== dirname(folder);) {
    missing = folder;
    folder = dirname(folder);
  }
  return missing;
}

/**
 * @returns false for other errors, which the next call meets too, or if another process was faster
 */
function check(error: unknown, folder: string): false {
  if ((error as NodeJS.ErrnoException).code !== 'ENOENT') return false;
  // A link that leads nowhere yet.
  if (lstatSync(folder, { throwIfNoEntry: false }) !== undefined) return false;
  const above = dirname(folder);
  if (!existsSync(above)) return false;
  throw new NoFoldersError(
    `${above} is of a file system of the kernel's, which takes no folders: name one on a disk`,
  );
}
