import { rowsOfRange } from './journal-file.js';
import type { RowWriterParts } from './loop-writer.js';

/** Parts for writes in the thread pool. @internal */
export interface PoolWriterParts extends RowWriterParts {
  /** Called when rows before the position are on file, with the duration in milliseconds. */
  readonly onWritten: (position: number, ms: number) => void;
  /** Called when all rows are on file. */
  readonly onDone: () => void;
  readonly onFailed: (error: unknown) => void;
}

/**
 * Writes rows in the thread pool, one write at a time, until all are on file. After `abandon`, a
 * write in progress may still succeed, but its result is ignored.
 *
 * @internal
 */
export class PoolWriter {
  readonly #parts: PoolWriterParts;
  /** The present pass; an abandoned one has another object. */
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

  /** Starts a pass, unless one is running. Never throws. */
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
    // If there is no row to write, only the folder shows whether the file system accepts writes.
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
