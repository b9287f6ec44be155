import type { RowRange } from '../channel/batch.js';
import type { RowStore, StoredSlab } from '../channel/stored-slab.js';
import type { Clock } from '../clock/clock.js';
import type { Slab } from '../codec/slab.js';
import type { LedgerLogger } from '../ports/ledger-logger.interface.js';
import type { JournalFile } from './journal-file.js';
import type { JournalPlace } from './journal-place.js';
import { SEGMENT_BYTES } from './journal-segments.js';
import { StoredRows } from './stored-rows.js';

/** A file system that did not give rows back is asked again after so long. */
const AGAIN_MS = 1000;

/** What a journal's store is made of. @internal */
export interface JournalStoreParts {
  readonly clock: Clock;
  readonly logger: LedgerLogger;
  readonly place: JournalPlace;
  /** Of all files together. */
  readonly maxBytes: number;
  /** Whether rows are read back at all. */
  readonly reads: boolean;
  /** Of a row. */
  readonly columns: number;
  readonly storedUntil: () => number;
  readonly isTaking: () => boolean;
}

/** The journal as a place for rows that are not next. @internal */
export class JournalStore implements RowStore {
  readonly #parts: JournalStoreParts;
  readonly #rows: StoredRows;

  constructor(parts: JournalStoreParts) {
    this.#parts = parts;
    this.#rows = new StoredRows(parts.columns);
  }

  get storedUntil(): number {
    return this.#parts.storedUntil();
  }

  get isTaking(): boolean {
    return this.#parts.isTaking();
  }

  /** Full before the last file is, so that the journal goes on writing what it has taken. */
  get fill(): number {
    const held = this.#parts.place.current?.segments.heldBytes ?? 0;
    return (held + 2 * SEGMENT_BYTES) / this.#parts.maxBytes;
  }

  get place(): string {
    return this.#parts.place.path;
  }

  /** The next frame of the file holds the range. */
  note({ from, position }: RowRange<Slab>, file: JournalFile): void {
    if (from === 0 && this.#parts.reads) this.#rows.note(position, file);
  }

  /** Forgets slabs whose rows are settled. @param mark every row before it is */
  prune(mark: number): void {
    this.#rows.prune(mark);
  }

  async load(stored: StoredSlab, into: Slab): Promise<void> {
    for (;;) {
      try {
        return await this.#rows.load(stored, into);
      } catch (error) {
        into.clear();
        const { clock, logger } = this.#parts;
        const why = error instanceof Error ? error.message : typeof error;
        logger.error(`rows can't be read back from the journal ${this.place} (${why})`);
        await new Promise<void>((resolve) => clock.after(AGAIN_MS, resolve));
      }
    }
  }
}
