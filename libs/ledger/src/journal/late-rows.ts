import type { Clock } from '../clock/clock.js';
import type { FrameRows } from './journal-file.js';
import type { JournalPlace, OpenPlace } from './journal-place.js';

/** Parts for rows after the seal. @internal */
export interface LateRowsParts {
  readonly clock: Clock;
  readonly place: JournalPlace;
  /** Writes the channel's rows. */
  readonly write: () => void;
  /** Called when the folder no longer belongs to the journal: unsettled rows are written again. */
  readonly onLost: () => void;
  /** Gives written rows the durability of the setting. @throws the file system's error */
  readonly syncNow: (place: OpenPlace) => void;
}

/** Rows after the seal: each is written to the journal separately, without a delay. @internal */
export class LateRows {
  /** Position after the last row. */
  until = 0;
  readonly #parts: LateRowsParts;

  constructor(parts: LateRowsParts) {
    this.#parts = parts;
  }

  /**
   * @returns the file; its folder belonged to the journal before and after the write
   * @throws the file system's error
   */
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
