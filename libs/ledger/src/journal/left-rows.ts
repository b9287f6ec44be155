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

/** What earlier runs left takes none of the room: nothing else has these rows. */
const NO_FILES = { bytes: 0 };

/** What the rows that a run leaves behind are kept with. @internal */
export interface LeftRowsParts {
  readonly files: JournalFiles;
  readonly clock: Clock;
  /** Bytes that they may take. */
  readonly maxBytes: number;
  /** Whether they survive a loss of power. */
  readonly syncs: boolean;
  /** What the header of a new file says. */
  readonly describe: () => SegmentDescription;
  /** What a settled frame says of the server. */
  readonly settled: () => SettledFrame;
  /** Makes a folder that no other has the name of. */
  readonly makeFolder: () => JournalFolder;
  /** Every row before it is in the run's own files. */
  readonly durableUntil: () => number;
  /** Of the run's own folder. */
  readonly ownPath: () => string;
}

/**
 * Rows that a run has settled and that are kept nowhere else: in a folder of their own, which the next start
 * replays. In the run's own files they would hold up the settled mark, and with it all files behind them.
 *
 * @internal
 */
export class LeftRows {
  /** Position of the first row that only the run's own files keep: they stay from there on. */
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
   * Keeps rows. They are on file when it returns, and synced where they have to be. Where they can't be written
   * once more, the run's own files that have them stay, and all behind them. Never throws.
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
    // Another process may have taken it, which replays what it finds there now.
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

  /** Shows others that the owner lives, so that they leave the rows to the next start. Never throws. */
  showLife(): void {
    try {
      this.#place?.folder.touch(this.#parts.clock.now());
    } catch {
      // Another process takes the folder then, and tries the rows: that is what they are kept for.
    }
  }

  /** Leaves the folder to any process. Never throws. */
  close(): void {
    const place = this.#forget();
    try {
      if (place?.folder.isOwn === true) place.folder.release();
    } catch {
      // It is taken after three missed signs of life.
    }
  }

  #forget(): OpenPlace | undefined {
    const place = this.#place;
    this.#place = undefined;
    place?.segments.forget();
    return place;
  }
}
