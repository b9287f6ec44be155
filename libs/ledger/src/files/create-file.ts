import { constants, openSync } from 'node:fs';
import { open, type FileHandle } from 'node:fs/promises';

/** Entries hold users' text: nobody else on the machine may read them. */
const FILE_MODE = 0o600;
/**
 * A new file, or none: a name that is taken, also by a link to nowhere, is never written through.
 * Windows knows no O_NOFOLLOW, and O_EXCL alone follows no link either.
 */
const NEW_FILE =
  constants.O_WRONLY | constants.O_CREAT | constants.O_EXCL | (constants.O_NOFOLLOW ?? 0);

/**
 * Creates a file that only its owner can read. Every file of a ledger is made here or by
 * `createFileSync`: neither follows a link, nor opens what is there already.
 *
 * @returns undefined if the name is taken
 * @throws the file system's error
 * @internal
 */
export async function createFile(path: string): Promise<FileHandle | undefined> {
  try {
    return await open(path, NEW_FILE, FILE_MODE);
  } catch (error) {
    if (!isTaken(error)) throw error;
    return undefined;
  }
}

/**
 * As `createFile`, at once.
 *
 * @param isReadable the descriptor is for reading as well
 * @returns the file's descriptor; undefined if the name is taken
 * @throws the file system's error
 * @internal
 */
export function createFileSync(path: string, isReadable = false): number | undefined {
  try {
    // O_WRONLY and O_RDWR are values of two bits, O_RDWR the larger one.
    const flags = isReadable ? (NEW_FILE & ~constants.O_WRONLY) | constants.O_RDWR : NEW_FILE;
    return openSync(path, flags, FILE_MODE);
  } catch (error) {
    if (!isTaken(error)) throw error;
    return undefined;
  }
}

function isTaken(error: unknown): boolean {
  const { code } = error as NodeJS.ErrnoException;
  return code === 'EEXIST' || code === 'ELOOP';
}
