import { lstatSync, type Stats } from 'node:fs';
import { lstat, stat } from 'node:fs/promises';
import { makeFolders, makeFoldersSync } from './make-folders.js';

const ROOT = 0;
const OTHERS_MAY_WRITE = 0o022;
const STICKY = 0o1000;

/** A folder that another user could redirect. @internal */
export class UnsafeFolderError extends Error {
  readonly code = 'UNSAFE_FOLDER';
}

/**
 * Creates a folder for its owner only, because names of its files reveal hosts and times, or checks
 * the existing one.
 *
 * @returns what other users can do to files in it, and the remedy; undefined: nothing
 * @throws UnsafeFolderError if it is another user's symbolic link; else the file system's error
 * @internal
 */
export async function prepareFolder(dir: string): Promise<string | undefined> {
  await makeFolders(dir);
  checkLink(dir, await lstat(dir));
  return describeRisk(dir, await stat(dir));
}

/** Synchronous `prepareFolder`. @internal */
export function prepareFolderSync(dir: string): void {
  makeFoldersSync(dir);
  checkLink(dir, lstatSync(dir));
}

/**
 * The owner of a link decides its target: root and the own user are trusted, like in the kernel.
 */
function checkLink(dir: string, link: Stats): void {
  if (!link.isSymbolicLink() || isTrusted(link.uid)) return;
  throw new UnsafeFolderError(
    `${dir} is a symbolic link of another user (uid ${link.uid}), who can redirect it: ` +
      'set the path of the folder itself, or remove the link',
  );
}

function describeRisk(dir: string, { uid, mode }: Stats): string | undefined {
  const own =
    'set the path of a folder that does not exist yet, which the ledger then creates for its own user only';
  if (!isTrusted(uid)) {
    return `${dir} belongs to another user (uid ${uid}), who can delete files in it: ${own}`;
  }
  if ((mode & OTHERS_MAY_WRITE) === 0 || (mode & STICKY) !== 0) return undefined;
  const octal = (mode & 0o7777).toString(8).padStart(4, '0');
  return `other users can delete files in ${dir} (mode ${octal}): run chmod 700 on it, or ${own}`;
}

/** Windows has no uids, and no such modes. */
function isTrusted(uid: number): boolean {
  const own = process.getuid?.();
  return own === undefined || uid === own || uid === ROOT;
}
