/**
 * The file system as the journal uses it, so that tests can own it. Every call may throw, or reject
 * with, the file system's error. What was written survives the process at once, and a loss of power
 * once it was synced: the bytes by `sync`, the name of a file or a folder by `syncFolder` of the folder
 * that holds it.
 *
 * @internal
 */
export interface JournalFiles {
  /**
   * Makes a folder and those above it, for their owner alone; one that is there is taken.
   * @returns the uppermost folder that was made; undefined if all were there
   */
  makeFolder(path: string): string | undefined;
  /** Makes a folder in one that is there. @returns false if the name is taken */
  makeNewFolder(path: string): boolean;
  /** Removes an empty folder. */
  removeFolder(path: string): void;
  /** Which folder the path leads to; undefined if there is none. */
  identityOf(path: string): string | undefined;
  /** Creates a file that only its owner can read, for reading and writing. @returns its descriptor; undefined if the name is taken */
  create(path: string): number | undefined;
  /** Opens a file for reading, in the thread pool; a link is refused. @returns its descriptor */
  openToRead(path: string): Promise<number>;
  /** Names in a folder, in the thread pool. */
  names(path: string): Promise<readonly string[]>;
  /** Writes at the end. @returns bytes that were taken, which may be fewer */
  write(file: number, bytes: Uint8Array): number;
  /** As `write`, several in a row. */
  writeMany(file: number, parts: readonly Uint8Array[]): number;
  /** As `writeMany`, in the thread pool; the parts must stay as they are until it is done. */
  writeLater(file: number, parts: readonly Uint8Array[]): Promise<number>;
  /** Reads into a buffer, in the thread pool. @returns bytes that were read; 0 at the end */
  read(file: number, into: Uint8Array, position: number): Promise<number>;
  /** Cuts a file. */
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
  /** Sets when a file was changed last. @param ms milliseconds since 1970 */
  touch(path: string, ms: number): void;
}
