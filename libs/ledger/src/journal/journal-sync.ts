import type { JournalFiles } from '../ports/journal-files.interface.js';
import type { JournalFolder } from './journal-folder.js';
import type { JournalSegments } from './journal-segments.js';

/** Parts of a journal that syncs. @internal */
export interface JournalSyncParts {
  readonly files: JournalFiles;
  /** Every row before this position is on file. */
  readonly written: () => number;
  /** Every row before the position survives a power loss. */
  readonly onSynced: (position: number) => void;
  readonly onFailed: (error: unknown) => void;
}

/** A place to sync. */
interface Place {
  readonly folder: JournalFolder;
  readonly segments: JournalSegments;
}

/**
 * Syncs files and folders in the thread pool, one after the other and one pass at a time. Rows
 * written during a pass belong to the next one. After a failure the place is left for good.
 *
 * @internal
 */
export class JournalSync {
  readonly #parts: JournalSyncParts;
  #place: Place | undefined;
  /** Whether a sync is in progress, with an unknown result. */
  isRunning = false;
  #synced = 0;

  constructor(parts: JournalSyncParts) {
    this.#parts = parts;
  }

  /** Syncs all written rows, unless a sync is in progress. */
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
    // The journal may have moved meanwhile, with rows that are not synced there.
    if (this.#place !== place) return;
    this.#synced = position;
    onSynced(position);
  }

  /**
   * Restarts from a position whose rows are written again elsewhere: the results of the old place
   * are ignored.
   */
  restart(position: number): void {
    this.#place = undefined;
    this.#synced = position;
  }

  /** Like `syncPlaceNow`. @throws the file system's error */
  runNow(place: Place): void {
    syncPlaceNow(this.#parts.files, place);
  }
}

/**
 * Syncs all parts of a place without a sync in progress, outside the thread pool.
 * @throws the file system's error
 * @internal
 */
export function syncPlaceNow(files: JournalFiles, { segments, folder }: Place): void {
  for (const file of segments.unsynced) {
    file.syncNow();
    if (file.isFinished && file.isSynced) file.rest();
  }
  // A folder's sync in progress is ignored: it may have started before the last name.
  for (const each of folder.unsynced) {
    files.syncFolderNow(each[0]);
    folder.noteSynced(each);
  }
}
