import { lstat, stat } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { makeFolders } from '../files/make-folders.js';
import { prepareFolder } from '../files/private-folder.js';
import { tryFolder } from '../files/try-folder.js';
import { diskFiles } from './disk-files.js';

const ROOT = 0;

/** Codes of errors with a complete message. */
const OWN_WORDS = ['FOREIGN_FOLDER', 'UNSAFE_FOLDER', 'NO_FOLDERS'];

/**
 * Errors that stay until a user changes the path, its owner or its mode. Others (no space, a disk
 * fault, a file system mounted read-only) may disappear by themselves. Source: `errno(3)`.
 */
const LASTING = new Set([
  ...['EACCES', 'EEXIST', 'EISDIR', 'ELOOP', 'ENAMETOOLONG', 'ENOTDIR', 'EPERM'],
  ...OWN_WORDS,
]);

/** A folder whose entries another user can read and replace. */
class ForeignFolderError extends Error {
  readonly code = 'FOREIGN_FOLDER';
}

/** Where a journal is to write. @internal */
export interface FolderToProbe {
  /** Absolute path. */
  readonly journalDir: string;
  /** Name of the ledger. */
  readonly ledger: string;
  /** Whether names of folders must survive a power loss: `journalSync: 'power'`. */
  readonly syncs: boolean;
}

/** Result of the probe of a journal folder. @internal */
export interface ProbedJournal {
  /** Why it can't be used. */
  readonly fault:
    | {
        /** The error as reported by the file system. */
        readonly error: unknown;
        /** A code of the file system, or a sentence. */
        readonly reason: string;
        /** Whether every later try fails until a user changes something. */
        readonly isLasting: boolean;
      }
    | undefined;
  /** Possible actions of other users on its files, and the remedy. */
  readonly risk: string | undefined;
}

/**
 * Probes the folder of a ledger's journals: makes it for its owner alone, writes a file there,
 * syncs it and removes it. Never rejects.
 *
 * @internal
 */
export async function probeJournalFolder(folder: FolderToProbe): Promise<ProbedJournal> {
  try {
    return { fault: undefined, risk: await prepareAndTry(folder) };
  } catch (error) {
    const { code = 'unknown error', message } = error as NodeJS.ErrnoException;
    const isOwnWord = OWN_WORDS.includes(code);
    const reason = isOwnWord ? message : code;
    return { fault: { error, reason, isLasting: LASTING.has(code) }, risk: undefined };
  }
}

async function prepareAndTry(probed: FolderToProbe): Promise<string | undefined> {
  const dir = join(probed.journalDir, probed.ledger);
  // A journal syncs only folders that it makes itself. Without this sync, a power loss would remove
  // these folders together with the journal.
  const unsynced = probed.syncs ? await foldersToSync(dir) : [];
  let risk: string | undefined;
  try {
    risk = await tryIn(probed.journalDir, dir);
  } catch (error) {
    // No later try makes the folders of this try again.
    for (const folder of unsynced) await diskFiles.syncFolder(folder).catch(() => undefined);
    throw error;
  }
  for (const folder of unsynced) await diskFiles.syncFolder(folder);
  return risk;
}

async function tryIn(journalDir: string, dir: string): Promise<string | undefined> {
  await makeFolders(journalDir);
  // Before anything is made in it, because another user's link may lead anywhere.
  const above = await prepareFolder(journalDir);
  const own = await prepareFolder(dir);
  await checkOwner(dir);
  await tryFolder(dir);
  return own ?? above;
}

/** The ledger made its own folder, so a folder of another user is a mistake or a trap. */
async function checkOwner(dir: string): Promise<void> {
  const { uid } = await lstat(dir);
  const self = process.getuid?.();
  if (self === undefined || uid === self || uid === ROOT) return;
  throw new ForeignFolderError(
    `${dir} belongs to another user (uid ${uid}; this process runs as uid ${self}): ` +
      `run chown -R ${self} on it, or set journalDir to another folder`,
  );
}

/** A folder, its parent, and the folders above that get a new name when it is made. */
async function foldersToSync(dir: string): Promise<string[]> {
  const folders = [dir, dirname(dir)];
  for (let folder = dirname(dir); folder !== dirname(folder) && !(await isThere(folder));) {
    folder = dirname(folder);
    folders.push(folder);
  }
  return folders;
}

function isThere(path: string): Promise<boolean> {
  return stat(path).then(
    () => true,
    () => false,
  );
}
