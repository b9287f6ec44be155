import type { JournalFiles } from '../ports/journal-files.interface.js';
import type { JournalFolder } from './journal-folder.js';
import type { JournalSegments } from './journal-segments.js';

/** What a journal that syncs is made of. @internal */
export interface JournalSyncParts {
  readonly files: JournalFiles;
  /** Every row before it is on file. */
  readonly written: () => number;
  /** Every row before the position survives a loss of power. */
  readonly onSynced: (position: number) => void;
  readonly onFailed: (error: unknown) => void;
}

/** A place that is synced. */
interface Place {
  readonly folder: JournalFolder;
  readonly segments: JournalSegments;
}

/**
 * Syncs files and folders in the thread pool, one after the other and one pass at a time: what is
 * written meanwhile is the next pass's. After a failure the place is left for good.
 *
 * @internal
 */
export class JournalSync {
  readonly #parts: JournalSyncParts;
  #place: Place | undefined;
  /** A sync is under way, and nobody knows yet how it ends. */
  isRunning = false;
  #synced = 0;

  constructor(parts: JournalSyncParts) {
    this.#parts = parts;
  }

  /** Syncs what is written, unless that is under way. */
  run(place: Place): void {
    this.#place = place;
    if (!this.isRunning) void this.#loop();
  }

  async #loop(): Promise<void> {
    this.isRunning = true;
    try {
      while (this.#place !== undefined && this.#synced < this.#parts.written()) {
        await this.#pass(this.#place);
      }
    } finally {
      this.isRunning = false;
    }
  }

  async #pass(place: Place): Promise<void> {
    const { files, written, onSynced, onFailed } = this.#parts;
    const position = written();
    try {
      for (const file of place.segments.unsynced) {
        await file.sync();
        if (file.isFinished && file.isSynced) file.rest();
      }
      for (const each of place.folder.unsynced) {
        await files.syncFolder(each[0]);
        place.folder.noteSynced(each);
      }
    } catch (error) {
      if (this.#place !== place) return;
      this.#place = undefined;
      return onFailed(error);
    }
    // The journal may have begun elsewhere meanwhile, with rows that are not synced there.
    if (this.#place !== place) return;
    this.#synced = position;
    onSynced(position);
  }

  /** Rows from a position on are to be written again, elsewhere: nothing of the place counts any more. */
  restart(position: number): void {
    this.#place = undefined;
    this.#synced = position;
  }

  /** As `syncPlaceNow`. @throws the file system's error */
  runNow(place: Place): void {
    syncPlaceNow(this.#parts.files, place);
  }
}

/**
 * Syncs at once what of a place no sync is under way for.
 * @throws the file system's error
 * @internal
 */
export function syncPlaceNow(files: JournalFiles, { segments, folder }: Place): void {
  for (const file of segments.unsynced) {
    file.syncNow();
    if (file.isFinished && file.isSynced) file.rest();
  }
  // Of a folder the sync under way counts for nothing: it may have begun before the last name.
  for (const each of folder.unsynced) {
    files.syncFolderNow(each[0]);
    folder.noteSynced(each);
  }
}
