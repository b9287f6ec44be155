/**
 * The journal's port to the file system, which tests can replace. Every call may throw, or reject
 * with, the file system's error. Written bytes survive the process at once. They survive a loss of
 * power once they are synced: bytes by `sync`, names of files and folders by `syncFolder` of their
 * parent folder.
 *
 * @internal
 */
export interface JournalFiles {
  /**
   * Creates a folder and its parents, for their owner only; an existing folder is used.
   * @returns the uppermost folder that was created; undefined if all existed
   */
  makeFolder(path: string): string | undefined;
  /** Creates a folder in an existing one. @returns false if the name is taken */
  makeNewFolder(path: string): boolean;
  /** Removes an empty folder. */
  removeFolder(path: string): void;
  /** Identity of the folder at a path; undefined if there is none. */
  identityOf(path: string): string | undefined;
  /** Creates a file that only its owner can read, for reading and writing. @returns its descriptor; undefined if the name is taken */
  create(path: string): number | undefined;
  /** Opens a file for reading, in the thread pool; a link is refused. @returns its descriptor */
  openToRead(path: string): Promise<number>;
  /** Names in a folder, in the thread pool. */
  names(path: string): Promise<readonly string[]>;
  /** Writes the first `length` bytes, or all, at the end. @returns number of bytes written, which may be fewer */
  write(file: number, bytes: Uint8Array, length?: number): number;
  /** Like `write`, for several contiguous parts. */
  writeMany(file: number, parts: readonly Uint8Array[]): number;
  /** Like `writeMany`, in the thread pool; the parts must not change until it is done. */
  writeLater(file: number, parts: readonly Uint8Array[]): Promise<number>;
  /** Reads into a buffer, in the thread pool. @returns number of bytes read; 0 at the end */
  read(file: number, into: Uint8Array, position: number): Promise<number>;
  /** Truncates a file. */
  truncate(file: number, bytes: number): void;
  close(file: number): void;
  /** Syncs the bytes of a file, in the thread pool. */
  sync(file: number): Promise<void>;
  /** As `sync`, at once. */
  syncNow(file: number): void;
  /** Syncs the names in a folder, in the thread pool. */
  syncFolder(path: string): Promise<void>;
  /** As `syncFolder`, at once. */
  syncFolderNow(path: string): void;
  rename(from: string, to: string): void;
  unlink(path: string): Promise<void>;
  unlinkNow(path: string): void;
  /** Sets a file's time of modification. @param ms milliseconds since 1970 */
  touch(path: string, ms: number): void;
}
