import { randomBytes } from 'node:crypto';
import { lstat, rm, stat } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { createFile } from '../files/create-file.js';
import { makeFolders } from '../files/make-folders.js';
import { prepareFolder } from '../files/private-folder.js';
import { diskFiles } from './disk-files.js';

const RANDOM_BYTES = 8;
const ROOT = 0;

/** Codes of errors whose message says it all. */
const OWN_WORDS = ['FOREIGN_FOLDER', 'UNSAFE_FOLDER', 'NO_FOLDERS'];

/**
 * Errors that stay until somebody changes the path, its owner or its mode. Others (no space, a fault
 * of the disk, a file system that was mounted read-only) may go by themselves. Source: `errno(3)`.
 */
const LASTING = new Set([
  ...['EACCES', 'EEXIST', 'EISDIR', 'ELOOP', 'ENAMETOOLONG', 'ENOTDIR', 'EPERM'],
  ...OWN_WORDS,
]);

/** A folder of entries that somebody else can read and replace. */
class ForeignFolderError extends Error {
  readonly code = 'FOREIGN_FOLDER';
}

/** Where a journal is to write. @internal */
export interface FolderToProbe {
  /** Absolute. */
  readonly journalDir: string;
  /** Name of the ledger. */
  readonly ledger: string;
  /** Names of folders must survive a loss of power: `journalSync: 'power'`. */
  readonly syncs: boolean;
}

/** What was found of a folder for journals. @internal */
export interface ProbedJournal {
  /** Why it can't be used. */
  readonly fault:
    | {
        /** As the file system reported it. */
        readonly error: unknown;
        /** A code of the file system, or a sentence. */
        readonly reason: string;
        /** No later try can succeed unless somebody changes something. */
        readonly isLasting: boolean;
      }
    | undefined;
  /** What others can do to files in it, and what to do about that. */
  readonly risk: string | undefined;
}

/**
 * Tries the folder of a ledger's journals: makes it for its owner alone, writes a file there, syncs it and
 * removes it. Never rejects.
 *
 * @internal
 */
export async function probeJournalFolder(folder: FolderToProbe): Promise<ProbedJournal> {
  try {
    return { fault: undefined, risk: await tryFolder(folder) };
  } catch (error) {
    const { code = 'unknown error', message } = error as NodeJS.ErrnoException;
    const isOwnWord = OWN_WORDS.includes(code);
    const reason = isOwnWord ? message : code;
    return { fault: { error, reason, isLasting: LASTING.has(code) }, risk: undefined };
  }
}

async function tryFolder(probed: FolderToProbe): Promise<string | undefined> {
  const dir = join(probed.journalDir, probed.ledger);
  // A journal syncs only folders that it makes itself: a loss of power would take these with it.
  const unsynced = probed.syncs ? await foldersToSync(dir) : [];
  let risk: string | undefined;
  try {
    risk = await tryFile(probed.journalDir, dir);
  } catch (error) {
    // What this try has made, no later one makes.
    for (const folder of unsynced) await diskFiles.syncFolder(folder).catch(() => undefined);
    throw error;
  }
  for (const folder of unsynced) await diskFiles.syncFolder(folder);
  return risk;
}

async function tryFile(journalDir: string, dir: string): Promise<string | undefined> {
  await makeFolders(journalDir);
  // Before anything is made in it: another user's link may lead anywhere.
  const above = await prepareFolder(journalDir);
  const own = await prepareFolder(dir);
  await checkOwner(dir);
  const path = join(dir, `.probe-${randomBytes(RANDOM_BYTES).toString('hex')}`);
  const file = await createFile(path);
  if (file === undefined) throw Object.assign(new Error('taken'), { code: 'EAGAIN' });
  try {
    await file.writeFile('{}\n');
    await file.sync();
  } finally {
    await file.close();
    await rm(path, { force: true });
  }
  return own ?? above;
}

/** The ledger's own folder was made by it: one of another user is a mistake, or a trap. */
async function checkOwner(dir: string): Promise<void> {
  const { uid } = await lstat(dir);
  const self = process.getuid?.();
  if (self === undefined || uid === self || uid === ROOT) return;
  throw new ForeignFolderError(
    `${dir} belongs to another user (uid ${uid}, this process has ${self}): ` +
      `chown -R ${self} it, or name another folder`,
  );
}

/** A folder, the one above it, and those above that get a new name when it is made. */
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
