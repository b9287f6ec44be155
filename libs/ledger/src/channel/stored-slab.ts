import type { Slab } from '../codec/slab.js';
import type { RowBlock } from './batch.js';

const NO_BYTES: Buffer = Buffer.alloc(0);

/** The rows of a stored slab. */
interface StoredRange {
  readonly position: number;
  readonly count: number;
  readonly rowBytes: number;
  /** Monotonic milliseconds when the first of them was appended. */
  readonly firstAt: number;
  readonly lostIn: string | undefined;
  readonly isGone?: boolean;
}

/**
 * A slab whose rows are on disk only. It replaces the slab until the rows are read back; they can't
 * be read here.
 *
 * @internal
 */
export class StoredSlab implements RowBlock {
  readonly bytes: Buffer = NO_BYTES;
  /** Position in the channel of the first row. */
  readonly position: number;
  readonly count: number;
  unsettled: number;
  /** Total bytes of the rows. */
  rowBytes: number;
  /** Whether its rows are being read back. */
  isLoading = false;
  /** The file whose rows can't be read back; undefined: they can. */
  readonly lostIn: string | undefined;
  /** Whether that file was removed with its folder, so that the rows are gone. */
  readonly isGone: boolean;
  readonly #firstAt: number;

  private constructor(range: StoredRange) {
    const { position, count, rowBytes, firstAt, lostIn, isGone = false } = range;
    this.position = position;
    this.count = count;
    this.unsettled = count;
    this.rowBytes = rowBytes;
    this.#firstAt = firstAt;
    this.lostIn = lostIn;
    this.isGone = isGone;
  }

  /** @param slab none of its rows was taken */
  static of(slab: Slab): StoredSlab {
    const { position, count, end: rowBytes } = slab;
    const firstAt = slab.appendedAt(0);
    return new StoredSlab({ position, count, rowBytes, firstAt, lostIn: undefined });
  }

  /** A part of these rows that can't be read back. @param file that contains them, if any */
  lost(position: number, count: number, file = 'the journal', isGone = false): StoredSlab {
    const range = { position, count, rowBytes: 0, firstAt: this.#firstAt };
    return new StoredSlab({ ...range, lostIn: file, isGone });
  }

  startOf(row: number): number {
    return row === 0 ? 0 : this.rowBytes;
  }

  endOf(_row: number): number {
    return this.rowBytes;
  }

  /** Monotonic milliseconds when the first row was appended: every row counts as that old. */
  appendedAt(_row: number): number {
    return this.#firstAt;
  }
}

/** Keeps rows on disk and reads them back. @internal */
export interface RowStore {
  /** Rows before this position can be read back. */
  readonly storedUntil: number;
  /** Whether it takes more rows. If not, the channel is bounded as if there were no store. */
  readonly isTaking: boolean;
  /** Used share of its room, from 0 to above 1. */
  readonly fill: number;
  /** The same for this channel's rows only, without rows of earlier runs. */
  readonly ownFill: number;
  /** Path of the folder. */
  readonly place: string;
  /**
   * Reads the rows of a slab back. Never rejects.
   *
   * @param take returns an empty slab
   * @param giveBack takes an unused slab back
   * @returns pieces with all rows, in order; stored ones for unreadable rows
   */
  load(
    stored: StoredSlab,
    take: () => Slab,
    giveBack: (slab: Slab) => void,
  ): Promise<readonly (Slab | StoredSlab)[]>;
}
