import type { Channel } from '../channel/channel.js';
import type { Clock } from '../clock/clock.js';
import { rowsOfRange } from './journal-file.js';
import type { JournalPlace } from './journal-place.js';
import type { JournalStore } from './journal-store.js';

/** Parts for the writes of rows. @internal */
export interface RowWriterParts {
  readonly channel: Channel;
  readonly clock: Clock;
  readonly place: JournalPlace;
  readonly store: JournalStore;
  /** Every row before this position is on file. */
  readonly written: () => number;
  /** Called when the folder no longer belongs to the journal: unsettled rows are written again. */
  readonly onLost: () => void;
}

/** Writes rows on the event loop. @internal */
export class LoopWriter {
  readonly #parts: RowWriterParts;

  constructor(parts: RowWriterParts) {
    this.#parts = parts;
  }

  /**
   * Writes all rows that are not on file.
   *
   * @param startedAt monotonic milliseconds
   * @returns monotonic milliseconds after the write
   * @throws the file system's error
   */
  write(startedAt: number): number {
    const { clock, place, onLost } = this.#parts;
    if (!place.isOwn(startedAt)) onLost();
    for (;;) {
      const isWhole = this.#append();
      const endedAt = clock.monotonic();
      // A process may be suspended for long at any point, and its folder adopted meanwhile.
      if (isWhole && place.isOwn(endedAt)) {
        place.noteOwn(startedAt);
        return endedAt;
      }
      onLost();
    }
  }

  /** @returns false if the folder is gone @throws the file system's error */
  #append(): boolean {
    const { channel, clock, place, store, written } = this.#parts;
    try {
      const { segments } = place.open();
      for (const range of channel.rowsFrom(written())) {
        const file = segments.open();
        store.note(range, file);
        file.append(rowsOfRange(range));
      }
      return true;
    } catch (error) {
      if (place.isGone(error, clock.monotonic())) return false;
      throw error;
    }
  }
}
