import type { Batch } from '../channel/batch.js';
import type { Clock } from '../clock/clock.js';
import type { JournalFiles } from '../ports/journal-files.interface.js';
import type { SegmentDescription } from '../segments/segment-description.js';
import type { SettledFrame } from '../segments/settled-frame.js';
import { rowsOfRange } from './journal-file.js';
import type { JournalFolder } from './journal-folder.js';
import { JournalSegments } from './journal-segments.js';
import type { OpenPlace } from './journal-place.js';
import { syncPlaceNow } from './journal-sync.js';

/** Files of earlier runs take none of this room, because these rows exist nowhere else. */
const NO_FILES = { bytes: 0 };

/** Parts for the rows that a run leaves behind. @internal */
export interface LeftRowsParts {
  readonly files: JournalFiles;
  readonly clock: Clock;
  /** Maximum bytes of these rows. */
  readonly maxBytes: number;
  /** Whether they survive a power loss. */
  readonly syncs: boolean;
  /** Makes the description in the header of a new file. */
  readonly describe: () => SegmentDescription;
  /** Content of a settled frame, used for its server. */
  readonly settled: () => SettledFrame;
  /** Makes a folder with a new name. */
  readonly makeFolder: () => JournalFolder;
  /** Every row before this position is in the run's own files. */
  readonly durableUntil: () => number;
  /** Path of the run's own folder. */
  readonly ownPath: () => string;
}

/**
 * Rows that a run has settled and that exist nowhere else. They are in a separate folder, which the
 * next start replays. In the run's own files they would hold back the settled mark, and with it all
 * later files.
 *
 * @internal
 */
export class LeftRows {
  /** Position of the first row that only the run's own files contain: files stay from there on. */
  heldFrom = Number.POSITIVE_INFINITY;
  readonly #parts: LeftRowsParts;
  #place: OpenPlace | undefined;

  constructor(parts: LeftRowsParts) {
    this.#parts = parts;
  }

  get bytes(): number {
    return this.#place?.segments.bytes ?? 0;
  }

  get count(): number {
    return this.#place?.segments.count ?? 0;
  }

  /**
   * Keeps rows. On return they are on file, and synced if required. If they can't be written once
   * more, the run's own files with these rows stay, and so do all later files. Never throws.
   *
   * @returns the folder; undefined: they are in memory only
   */
  keep(batch: Batch): string | undefined {
    try {
      return this.#add(batch);
    } catch {
      const { durableUntil, ownPath } = this.#parts;
      if (batch.positionOf(batch.count - 1) >= durableUntil()) return undefined;
      this.heldFrom = Math.min(this.heldFrom, batch.position);
      return ownPath();
    }
  }

  /** @returns the folder @throws the file system's error */
  #add({ ranges }: Batch): string {
    // Another process may have adopted the folder, and now replays its rows.
    if (this.#place?.folder.isOwn === false) this.#forget();
    const { folder, segments } = (this.#place ??= this.#open());
    try {
      for (const range of ranges) segments.open().append(rowsOfRange(range));
      if (this.#parts.syncs) syncPlaceNow(this.#parts.files, { folder, segments });
    } catch (error) {
      segments.giveUp();
      throw error;
    }
    return folder.path;
  }

  #open(): OpenPlace {
    const { files, maxBytes, describe, settled, syncs, makeFolder } = this.#parts;
    const folder = makeFolder();
    const parts = { files, folder, maxBytes, earlier: NO_FILES, keepMs: 0, syncs, describe };
    const segments = new JournalSegments({
      ...parts,
      settled: () => ({ ...settled(), position: 0 }),
    });
    return { folder, segments };
  }

  /**
   * Gives a sign of life of the owner, so that other processes leave the rows to the next start.
   * Never throws.
   */
  showLife(): void {
    try {
      this.#place?.folder.touch(this.#parts.clock.now());
    } catch {
      // Another process then takes the folder and tries the rows, which is their purpose.
    }
  }

  /** Releases the folder to any process. Never throws. */
  close(): void {
    const place = this.#forget();
    try {
      if (place?.folder.isOwn === true) place.folder.release();
    } catch {
      // Another process takes it after three missed signs of life.
    }
  }

  #forget(): OpenPlace | undefined {
    const place = this.#place;
    this.#place = undefined;
    place?.segments.forget();
    return place;
  }
}
