import type { Clock } from '../clock/clock.js';
import type { FrameRows } from './journal-file.js';
import type { JournalPlace, OpenPlace } from './journal-place.js';

/** What rows that come after the seal are kept with. @internal */
export interface LateRowsParts {
  readonly clock: Clock;
  readonly place: JournalPlace;
  /** Writes the channel's rows. */
  readonly write: () => void;
  /** The folder is not the journal's any more: rows that are not settled are written again. */
  readonly onLost: () => void;
  /** Makes what is written survive what the setting names. @throws the file system's error */
  readonly syncNow: (place: OpenPlace) => void;
}

/** Rows that come after the seal: each goes to the journal by itself, at once. @internal */
export class LateRows {
  /** Position behind the last one. */
  until = 0;
  readonly #parts: LateRowsParts;

  constructor(parts: LateRowsParts) {
    this.#parts = parts;
  }

  /** @returns the file, in a folder that was the journal's before and behind the write @throws the file system's error */
  keep(rows: FrameRows): string {
    const { clock, place, write, onLost } = this.#parts;
    for (;;) {
      write();
      const path = place.isOwn(clock.monotonic()) ? this.#append(rows) : undefined;
      if (path !== undefined && place.isOwn(clock.monotonic())) {
        this.until = rows.position + rows.count;
        return path;
      }
      onLost();
    }
  }

  /** @returns undefined if the folder is gone @throws the file system's error */
  #append(rows: FrameRows): string | undefined {
    const { clock, place, syncNow } = this.#parts;
    try {
      const open = place.open();
      open.segments.setBusyAside();
      const file = open.segments.open();
      file.append(rows);
      syncNow(open);
      return file.path;
    } catch (error) {
      if (place.isGone(error, clock.monotonic())) return undefined;
      throw error;
    }
  }
}
