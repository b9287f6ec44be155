import type { RowRange } from '../channel/batch.js';
import { StoredSlab, type RowStore } from '../channel/stored-slab.js';
import { pause, type Clock } from '../clock/clock.js';
import type { Slab } from '../codec/slab.js';
import type { LedgerLogger } from '../ports/ledger-logger.interface.js';
import { DAMAGED_ENDING } from './folder-names.js';
import type { EarlierFiles } from './earlier-files.js';
import type { JournalFile } from './journal-file.js';
import type { JournalPlace } from './journal-place.js';
import { SEGMENT_BYTES } from './journal-segments.js';
import { StoredRows } from './stored-rows.js';

/** A file system that did not give rows back is asked again after so long. */
const AGAIN_MS = 1000;
/** As often, then its rows are left where they are: those behind them must not wait for ever. */
const MOST_TRIES = 5;

/** What a journal's store is made of. @internal */
export interface JournalStoreParts {
  readonly clock: Clock;
  readonly logger: LedgerLogger;
  readonly place: JournalPlace;
  /** Of all files together, with those that earlier runs left. */
  readonly maxBytes: number;
  readonly earlier: Pick<EarlierFiles, 'bytes'>;
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
  /** Rows were left where they are, and none was read since: others are not tried for long. */
  #hasGivenUp = false;

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

  /** Full two files before `journalMaxBytes`, so that the journal goes on writing what was taken. */
  get fill(): number {
    return this.#shareOf(this.#ownBytes + this.#parts.earlier.bytes);
  }

  get ownFill(): number {
    return this.#shareOf(this.#ownBytes);
  }

  get #ownBytes(): number {
    return this.#parts.place.current?.segments.heldBytes ?? 0;
  }

  #shareOf(bytes: number): number {
    return bytes / (this.#parts.maxBytes - 2 * SEGMENT_BYTES);
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

  async load(
    stored: StoredSlab,
    take: () => Slab,
    giveBack: (slab: Slab) => void,
  ): Promise<readonly (Slab | StoredSlab)[]> {
    for (let tries = 1; ; tries++) {
      const taken: Slab[] = [];
      try {
        const pieces = await this.#rows.load(stored, () => {
          const slab = take();
          taken.push(slab);
          return slab;
        });
        this.#hasGivenUp = false;
        for (const piece of pieces) if (piece instanceof StoredSlab) this.#tellLost(piece);
        return pieces;
      } catch (error) {
        for (const slab of taken) giveBack(slab);
        if (this.#hasGivenUp || tries === MOST_TRIES) return [this.#giveUp(stored, error)];
        this.#tellRefused(error);
        await pause(this.#parts.clock, AGAIN_MS);
      }
    }
  }

  /** The file system does not give the rows back: they stay where they are. */
  #giveUp(stored: StoredSlab, error: unknown): StoredSlab {
    this.#hasGivenUp = true;
    // Neither in this folder nor in that of a process that took it over.
    const isGone = (error as NodeJS.ErrnoException).code === 'ENOENT';
    const lost = this.#rows.lose(stored, isGone);
    this.#tellLost(lost);
    return lost;
  }

  #tellRefused(error: unknown): void {
    const { code, name } = error as NodeJS.ErrnoException;
    const why = code ?? name ?? typeof error;
    this.#parts.logger.error(
      `entries can't be read back from the journal ${this.place} (${why}): they are tried again`,
    );
  }

  #tellLost({ count, lostIn, isGone }: StoredSlab): void {
    if (isGone) {
      return this.#parts.logger.error(
        `${count} entries are lost: they were in ${lostIn} only, and someone removed it; they count as spilled`,
      );
    }
    this.#parts.logger.error(
      `${count} entries can't be read back from ${lostIn}: they stay there, and count as spilled; ` +
        `the file is kept, with ${DAMAGED_ENDING} behind its name once its other entries are settled`,
    );
  }
}
