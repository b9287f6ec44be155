import { basename, dirname, join } from 'node:path';
import type { JournalFiles } from '../ports/journal-files.interface.js';
import { adoptedName, OWNER_FILE, RELEASED_FILE, REPLAY_ALL_FILE } from './folder-names.js';
import { UnsyncedFolders, type UnsyncedFolder } from './unsynced-folders.js';
import { writeAll } from './write-all.js';

/** Parts of a run's folder. @internal */
export interface JournalFolderParts {
  readonly files: JournalFiles;
  /** Absolute path. */
  readonly journalDir: string;
  /** Name of the ledger. */
  readonly ledger: string;
  /** Eight hex digits. */
  readonly run: string;
  /** Content of `owner.json` as JSON: the owner of the folder. */
  readonly owner: string;
  /**
   * Folders above those of the run. Every folder of the run needs them, even if an earlier one
   * could not be made.
   */
  readonly above: UnsyncedFolders;
}

/**
 * The folder of a run, `<journalDir>/<ledger>/<run>`, with `owner.json` in it. A second folder of
 * the same run has the suffix `-2`.
 *
 * @internal
 */
export class JournalFolder {
  readonly path: string;
  readonly #unsynced = new UnsyncedFolders();
  readonly #parts: JournalFolderParts;
  readonly #identity: string | undefined;
  #number = 0;
  /** Content of `owner.json`. */
  #owner = '';

  private constructor(path: string, parts: JournalFolderParts) {
    this.path = path;
    this.#parts = parts;
    this.#unsynced.note(path);
    this.#identity = parts.files.identityOf(path);
    this.describeOwner(parts.owner);
  }

  /**
   * Makes the run's folder with a number from 1, or with the next free number.
   * @throws the file system's error
   */
  static create(parts: JournalFolderParts, first: number): JournalFolder {
    const { files, journalDir, ledger, run, above } = parts;
    const ofLedger = join(journalDir, ledger);
    // Noted first: some folders above may be made even if the last one is refused.
    for (const each of missingFolders(files, ofLedger)) above.note(dirname(each));
    files.makeFolder(ofLedger);
    for (let number = first; ; number++) {
      const path = join(ofLedger, number === 1 ? run : `${run}-${number}`);
      if (!files.makeNewFolder(path)) continue;
      above.note(ofLedger);
      try {
        return new JournalFolder(path, parts);
      } catch (error) {
        removeQuietly(files, path, run);
        throw error;
      }
    }
  }

  /** Writes the owner of the folder to `owner.json` atomically. @throws the file system's error */
  describeOwner(owner: string): void {
    const { files, run } = this.#parts;
    const path = join(this.path, OWNER_FILE);
    const ownPath = `${path}.${run}`;
    this.#owner = owner;
    // Remains of a failed try, for example on a full disk, must not block this one.
    let file = files.create(ownPath);
    if (file === undefined) {
      files.unlinkNow(ownPath);
      file = files.create(ownPath);
    }
    if (file === undefined) throw new Error(`${ownPath} is there already`);
    try {
      writeAll(files, file, Buffer.from(owner));
    } finally {
      files.close(file);
    }
    files.rename(ownPath, path);
  }

  /** Whether the path still leads to this folder: an adopter renames it. */
  get isOwn(): boolean {
    try {
      return this.#parts.files.identityOf(this.path) === this.#identity;
    } catch (error) {
      if (isGoneCode(error)) return false;
      throw error;
    }
  }

  /** Unused path for the next file. Its name needs a sync. */
  nextPath(): string {
    this.#number++;
    this.#unsynced.note(this.path);
    return join(this.path, `${String(this.#number).padStart(6, '0')}.wal`);
  }

  /**
   * Gives a sign of life of the owner; writes its record again if it was removed.
   * @param ms milliseconds since 1970
   * @throws the file system's error
   */
  touch(ms: number): void {
    try {
      this.#parts.files.touch(join(this.path, OWNER_FILE), ms);
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code !== 'ENOENT' || !this.isOwn) throw error;
      this.describeOwner(this.#owner);
    }
  }

  /** Folders that need a sync, so that existing files are found after a power loss. */
  get unsynced(): readonly UnsyncedFolder[] {
    return [...this.#unsynced, ...this.#parts.above];
  }

  /** Notes a sync: the folder needs no other unless it changed meanwhile. */
  noteSynced(folder: UnsyncedFolder): void {
    (folder[0] === this.path ? this.#unsynced : this.#parts.above).noteSynced(folder);
  }

  /**
   * Releases the folder with its files to any process: the last act in it.
   * @throws the file system's error
   */
  release(): void {
    const file = this.#parts.files.create(join(this.path, RELEASED_FILE));
    if (file !== undefined) this.#parts.files.close(file);
  }

  /**
   * Leaves the folder to this run's own recovery, which replays every row of it.
   * @throws the file system's error; the folder then still belongs to the journal
   */
  handOver(): void {
    const { files, run } = this.#parts;
    const file = files.create(join(this.path, REPLAY_ALL_FILE));
    if (file !== undefined) files.close(file);
    files.rename(this.path, join(dirname(this.path), adoptedName(basename(this.path), run)));
  }

  /** Removes the folder after its files. @throws the file system's error */
  remove(): void {
    const { files } = this.#parts;
    try {
      files.unlinkNow(join(this.path, OWNER_FILE));
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code !== 'ENOENT') throw error;
    }
    files.removeFolder(this.path);
  }
}

/**
 * Codes for a path that was removed or renamed; on a network file system by another client. Source:
 * `errno(3)`.
 */
const GONE = new Set(['ENOENT', 'ENOTDIR', 'ESTALE']);

/** @internal */
export function isGoneCode(error: unknown): boolean {
  return GONE.has((error as NodeJS.ErrnoException | undefined)?.code ?? '');
}

/** Removes a folder without an owner. It is of no use, because the next try makes another one. */
function removeQuietly(files: JournalFiles, path: string, run: string): void {
  const works = [
    () => files.unlinkNow(join(path, `${OWNER_FILE}.${run}`)),
    () => files.removeFolder(path),
  ];
  for (const work of works) {
    try {
      work();
    } catch {
      // The first fault is reported.
    }
  }
}

/** The folders that `makeFolder` would make, the last one first. @throws the file system's error */
function missingFolders(files: JournalFiles, path: string): string[] {
  const missing: string[] = [];
  for (let each = path; files.identityOf(each) === undefined && each !== dirname(each);) {
    missing.push(each);
    each = dirname(each);
  }
  return missing;
}
