import { constants, openSync } from 'node:fs';
import { open, type FileHandle } from 'node:fs/promises';

/** Entries contain users' text, so no other user of the machine may read them. */
const FILE_MODE = 0o600;
/**
 * Flags for a new file. An existing name, even a link to nowhere, is never written through. Windows
 * lacks O_NOFOLLOW, and O_EXCL alone follows no link either.
 */
const NEW_FILE =
  constants.O_WRONLY | constants.O_CREAT | constants.O_EXCL | (constants.O_NOFOLLOW ?? 0);

/**
 * Creates a file that only its owner can read. Every file of a ledger is made here or by
 * `createFileSync`: neither follows a link or opens an existing file.
 *
 * @returns undefined if the name exists
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
 * Synchronous `createFile`.
 *
 * @param isReadable the descriptor also allows reading
 * @returns the file's descriptor; undefined if the name exists
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
