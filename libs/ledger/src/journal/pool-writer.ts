import { rowsOfRange } from './journal-file.js';
import type { RowWriterParts } from './loop-writer.js';

/** What writes in the thread pool are made with. @internal */
export interface PoolWriterParts extends RowWriterParts {
  /** Rows before the position are on file, after so many milliseconds. */
  readonly onWritten: (position: number, ms: number) => void;
  /** All rows are on file. */
  readonly onDone: () => void;
  readonly onFailed: (error: unknown) => void;
}

/**
 * Writes rows in the thread pool, one write at a time, until all are on file. What was under way when it was
 * abandoned may come about all the same, and counts for nothing.
 *
 * @internal
 */
export class PoolWriter {
  readonly #parts: PoolWriterParts;
  /** One that was abandoned is another. */
  #current: object | undefined;

  constructor(parts: PoolWriterParts) {
    this.#parts = parts;
  }

  get isRunning(): boolean {
    return this.#current !== undefined;
  }

  abandon(): void {
    this.#current = undefined;
  }

  /** Begins, unless it is at it. Never throws. */
  run(): void {
    if (this.#current !== undefined) return;
    const own = {};
    this.#current = own;
    void this.#write(own).catch((error: unknown) => {
      if (this.#current === own) this.#parts.onFailed(error);
    });
  }

  async #write(own: object): Promise<void> {
    const { channel, clock, place, written, onWritten, onDone } = this.#parts;
    // Without a row to write the folder alone shows whether the file system takes anything.
    if (written() >= channel.tail) place.open();
    while (written() < channel.tail) {
      const startedAt = clock.monotonic();
      if (!place.isOwn(startedAt)) this.#startAgain(own);
      const { tail } = channel;
      const isWhole = await this.#append(own);
      if (this.#current !== own) return;
      const endedAt = clock.monotonic();
      if (isWhole && place.isOwn(endedAt)) {
        place.noteOwn(startedAt);
        onWritten(tail, endedAt - startedAt);
      } else {
        this.#startAgain(own);
      }
    }
    this.#current = undefined;
    onDone();
  }

  /** @returns false if the folder is gone @throws the file system's error */
  async #append(own: object): Promise<boolean> {
    const { channel, clock, place, store, written } = this.#parts;
    try {
      const { segments } = place.open();
      for (const range of channel.rowsFrom(written())) {
        const file = segments.open();
        store.note(range, file);
        await file.appendLater(rowsOfRange(range));
        if (this.#current !== own) return false;
      }
      return true;
    } catch (error) {
      if (this.#current === own && place.isGone(error, clock.monotonic())) return false;
      throw error;
    }
  }

  #startAgain(own: object): void {
    this.#parts.onLost();
    this.#current = own;
  }
}
