import { basename, dirname, join } from 'node:path';
import type { JournalFiles } from '../ports/journal-files.interface.js';
import { adoptedName, OWNER_FILE, RELEASED_FILE, REPLAY_ALL_FILE } from './folder-names.js';
import { UnsyncedFolders, type UnsyncedFolder } from './unsynced-folders.js';

/** What a folder of a run is made of. @internal */
export interface JournalFolderParts {
  readonly files: JournalFiles;
  /** Absolute. */
  readonly journalDir: string;
  /** Name of the ledger. */
  readonly ledger: string;
  /** Eight hex digits. */
  readonly run: string;
  /** What `owner.json` says, as JSON: who the folder belongs to. */
  readonly owner: string;
  /** Folders above those of the run. They are needed by each of these, also where an earlier one could not be made. */
  readonly above: UnsyncedFolders;
}

/**
 * The folder of a run, `<journalDir>/<ledger>/<run>`, with `owner.json` in it. A second one of the same
 * run has `-2` behind its name.
 *
 * @internal
 */
export class JournalFolder {
  readonly path: string;
  readonly #unsynced = new UnsyncedFolders();
  readonly #parts: JournalFolderParts;
  readonly #identity: string | undefined;
  #number = 0;
  /** What `owner.json` says. */
  #owner = '';

  private constructor(path: string, parts: JournalFolderParts) {
    this.path = path;
    this.#parts = parts;
    this.#unsynced.note(path);
    this.#identity = parts.files.identityOf(path);
    this.describeOwner(parts.owner);
  }

  /** Makes the run's folder of a number from 1, or of the next that is free. @throws the file system's error */
  static create(parts: JournalFolderParts, first: number): JournalFolder {
    const { files, journalDir, ledger, run, above } = parts;
    const ofLedger = join(journalDir, ledger);
    // Before they are made: of those above it some may be, where the last one is refused.
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

  /** Says in `owner.json` who the folder belongs to, in one step. @throws the file system's error */
  describeOwner(owner: string): void {
    const { files, run } = this.#parts;
    const path = join(this.path, OWNER_FILE);
    const ownPath = `${path}.${run}`;
    this.#owner = owner;
    // What an earlier try left, as on a full disk, must not be in the way.
    let file = files.create(ownPath);
    if (file === undefined) {
      files.unlinkNow(ownPath);
      file = files.create(ownPath);
    }
    if (file === undefined) throw new Error(`${ownPath} is there already`);
    try {
      files.write(file, Buffer.from(owner));
    } finally {
      files.close(file);
    }
    files.rename(ownPath, path);
  }

  /** Whether the path still leads to this folder: another process renames those that it adopts. */
  get isOwn(): boolean {
    try {
      return this.#parts.files.identityOf(this.path) === this.#identity;
    } catch (error) {
      if (isGoneCode(error)) return false;
      throw error;
    }
  }

  /** Path of the next file, which no file of this folder has yet. Its name needs a sync. */
  nextPath(): string {
    this.#number++;
    this.#unsynced.note(this.path);
    return join(this.path, `${String(this.#number).padStart(6, '0')}.wal`);
  }

  /**
   * Shows others that the owner lives; writes its record again if somebody removed it.
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

  /** What needs a sync, so that files made until now are found after a loss of power. */
  get unsynced(): readonly UnsyncedFolder[] {
    return [...this.#unsynced, ...this.#parts.above];
  }

  /** It was synced, and needs it no more unless it changed meanwhile. */
  noteSynced(folder: UnsyncedFolder): void {
    (folder[0] === this.path ? this.#unsynced : this.#parts.above).noteSynced(folder);
  }

  /** Leaves the folder with its files to any process: the last act in it. @throws the file system's error */
  release(): void {
    const file = this.#parts.files.create(join(this.path, RELEASED_FILE));
    if (file !== undefined) this.#parts.files.close(file);
  }

  /**
   * Leaves the folder to this run's own recovery, which replays every row of it. @throws the file
   * system's error; the folder is still the journal's then
   */
  handOver(): void {
    const { files, run } = this.#parts;
    const file = files.create(join(this.path, REPLAY_ALL_FILE));
    if (file !== undefined) files.close(file);
    files.rename(this.path, join(dirname(this.path), adoptedName(basename(this.path), run)));
  }

  /** Removes the folder, whose files are gone. @throws the file system's error */
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
 * Of a path that leads nowhere: it was removed or renamed, on a network file system by another client.
 * Source: `errno(3)`.
 */
const GONE = new Set(['ENOENT', 'ENOTDIR', 'ESTALE']);

/** @internal */
export function isGoneCode(error: unknown): boolean {
  return GONE.has((error as NodeJS.ErrnoException | undefined)?.code ?? '');
}

/** A folder without an owner would be in the way: the next try makes another one. */
function removeQuietly(files: JournalFiles, path: string, run: string): void {
  const works = [
    () => files.unlinkNow(join(path, `${OWNER_FILE}.${run}`)),
    () => files.removeFolder(path),
  ];
  for (const work of works) {
    try {
      work();
    } catch {
      // The fault that is told is the first one.
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
