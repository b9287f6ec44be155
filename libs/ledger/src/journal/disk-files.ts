import {
  closeSync,
  constants,
  fdatasync,
  fdatasyncSync,
  fsyncSync,
  ftruncateSync,
  lstatSync,
  mkdirSync,
  open as openFile,
  openSync,
  read,
  renameSync,
  rmdirSync,
  statSync,
  unlinkSync,
  utimesSync,
  writeSync,
  writev,
  writevSync,
} from 'node:fs';
import { open, readdir, unlink } from 'node:fs/promises';
import { promisify } from 'node:util';
import { createFileSync } from '../files/create-file.js';
import { makeFoldersSync } from '../files/make-folders.js';
import { prepareFolderSync } from '../files/private-folder.js';
import type { JournalFiles } from '../ports/journal-files.interface.js';

const syncBytes = promisify(fdatasync);
const openDescriptor = promisify(openFile);
/** Windows has no such flag. */
const READ_ONLY = constants.O_RDONLY | (constants.O_NOFOLLOW ?? 0);
const FOLDER_MODE = 0o700;

/** The file system of this machine. @internal */
export const diskFiles: JournalFiles = {
  makeFolder(path) {
    const made = makeFoldersSync(path);
    prepareFolderSync(path);
    return made;
  },
  makeNewFolder(path) {
    try {
      mkdirSync(path, { mode: FOLDER_MODE });
      return true;
    } catch (error) {
      if (codeOf(error) !== 'EEXIST') throw error;
      return false;
    }
  },
  removeFolder: (path) => rmdirSync(path),
  identityOf(path) {
    const found = statSync(path, { throwIfNoEntry: false });
    return found && `${found.dev}:${found.ino}`;
  },
  create: (path) => createFileSync(path, true),
  openToRead: (path) => openDescriptor(path, READ_ONLY),
  names: (path) => readdir(path),
  write: (file, bytes, length) => writeSync(file, bytes, 0, length),
  writeMany: (file, parts) => writevSync(file, parts),
  writeLater: (file, parts) =>
    new Promise((resolve, reject) => {
      writev(file, parts, (error, written) => (error ? reject(error) : resolve(written)));
    }),
  read: (file, into, position) =>
    new Promise((resolve, reject) => {
      read(file, into, 0, into.length, position, (error, bytes) =>
        error ? reject(error) : resolve(bytes),
      );
    }),
  truncate: (file, bytes) => ftruncateSync(file, bytes),
  close: (file) => closeSync(file),
  sync: (file) => syncBytes(file),
  syncNow: (file) => fdatasyncSync(file),
  async syncFolder(path) {
    const folder = await open(path, 'r');
    try {
      await folder.sync();
    } finally {
      await folder.close();
    }
  },
  syncFolderNow(path) {
    const folder = openSync(path, 'r');
    try {
      fsyncSync(folder);
    } finally {
      closeSync(folder);
    }
  },
  rename: (from, to) => renameSync(from, to),
  unlink: (path) => unlink(path),
  unlinkNow: (path) => unlinkSync(path),
  touch(path, ms) {
    // With a link in its place, the time of another file would change.
    if (lstatSync(path).isFile()) utimesSync(path, ms / 1000, ms / 1000);
  },
};

function codeOf(error: unknown): string | undefined {
  return (error as NodeJS.ErrnoException).code;
}
