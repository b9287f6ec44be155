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

/** Pause before the next attempt to read rows back. */
const AGAIN_MS = 1000;
/**
 * Maximum of attempts. After them the rows stay on disk, because later rows must not wait forever.
 */
const MOST_TRIES = 5;
/**
 * Shortages of the whole process or machine, which end by themselves and say nothing of the file: too
 * many open files, no memory. Tries do not count. Source: `errno(3)`.
 */
const SHORTAGES = new Set(['EMFILE', 'ENFILE', 'ENOMEM', 'EAGAIN']);

/** Parts of a journal's store. @internal */
export interface JournalStoreParts {
  readonly clock: Clock;
  readonly logger: LedgerLogger;
  readonly place: JournalPlace;
  /** Maximum bytes of all files together, including those of earlier runs. */
  readonly maxBytes: number;
  readonly earlier: Pick<EarlierFiles, 'bytes'>;
  /** Whether rows are read back at all. */
  readonly reads: boolean;
  /** Number of columns of a row. */
  readonly columns: number;
  readonly storedUntil: () => number;
  readonly isTaking: () => boolean;
}

/** The journal as a store for rows that are not next. @internal */
export class JournalStore implements RowStore {
  readonly #parts: JournalStoreParts;
  readonly #rows: StoredRows;
  /** Whether rows were left on disk and none was read since: others then get only one attempt. */
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

  /** Full two files before `journalMaxBytes`, so that the journal can still write accepted rows. */
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

  /** Notes that the next frame of the file contains the range. */
  note({ from, position }: RowRange<Slab>, file: JournalFile): void {
    if (from === 0 && this.#parts.reads) this.#rows.note(position, file);
  }

  /** Forgets slabs whose rows are settled. @param mark every row before it is settled */
  prune(mark: number): void {
    this.#rows.prune(mark);
  }

  async load(
    stored: StoredSlab,
    take: () => Slab,
    giveBack: (slab: Slab) => void,
  ): Promise<readonly (Slab | StoredSlab)[]> {
    for (let tries = 0; ;) {
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
        const isShortage = SHORTAGES.has((error as NodeJS.ErrnoException).code ?? '');
        if (!isShortage) tries++;
        if (!isShortage && (this.#hasGivenUp || tries === MOST_TRIES)) {
          return [this.#giveUp(stored, error)];
        }
        this.#tellRefused(error);
        await pause(this.#parts.clock, AGAIN_MS);
      }
    }
  }

  /** Leaves rows on disk that the file system does not return. */
  #giveUp(stored: StoredSlab, error: unknown): StoredSlab {
    this.#hasGivenUp = true;
    // Neither this folder nor the folder of an adopter has the file.
    const isGone = (error as NodeJS.ErrnoException).code === 'ENOENT';
    const lost = this.#rows.lose(stored, isGone);
    this.#tellLost(lost);
    return lost;
  }

  #tellRefused(error: unknown): void {
    const { code, name } = error as NodeJS.ErrnoException;
    const why = code ?? name ?? typeof error;
    this.#parts.logger.error(
      `entries can't be read back from the journal ${this.place} (${why}): trying again`,
    );
  }

  #tellLost({ count, lostIn, isGone }: StoredSlab): void {
    if (isGone) {
      return this.#parts.logger.error(
        `${count} entries are lost, because ${lostIn}, the only file with them, was removed: they count as spilled`,
      );
    }
    this.#parts.logger.error(
      `${count} entries can't be read back from ${lostIn}: they stay there and count as spilled. ` +
        `The file gets the suffix ${DAMAGED_ENDING} once its other entries are settled`,
    );
  }
}
