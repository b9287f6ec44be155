import type { Slab } from '../codec/slab.js';
import type { RowBlock } from './batch.js';

const NO_BYTES: Buffer = Buffer.alloc(0);

/** Which rows a stored slab stands for. */
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
 * A slab whose rows are on disk only. It stands in the slab's place until they are read back; its rows can't
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
  /** Of its rows. */
  rowBytes: number;
  /** Its rows are being read back. */
  isLoading = false;
  /** The file that they can't be read back from; undefined: they can. */
  readonly lostIn: string | undefined;
  /** That file was removed with its folder: nothing has the rows. */
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

  /** @param slab no row of which was taken */
  static of(slab: Slab): StoredSlab {
    const { position, count, end: rowBytes } = slab;
    const firstAt = slab.appendedAt(0);
    return new StoredSlab({ position, count, rowBytes, firstAt, lostIn: undefined });
  }

  /** Some of these rows, which can't be read back. @param file that has them, if any does */
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

  /** Monotonic milliseconds when the first row was appended: each counts as that old. */
  appendedAt(_row: number): number {
    return this.#firstAt;
  }
}

/** Where rows are on disk, and are read back from. @internal */
export interface RowStore {
  /** Rows before this position can be read back. */
  readonly storedUntil: number;
  /** Whether it takes more rows. If not, the channel is bounded as without it. */
  readonly isTaking: boolean;
  /** Share of its room that is used, 0 to 1 and above. */
  readonly fill: number;
  /** The same by this channel's rows alone: earlier runs may have left some. */
  readonly ownFill: number;
  /** The folder. */
  readonly place: string;
  /**
   * Reads the rows of a slab back. Never rejects.
   *
   * @param take gives an empty slab
   * @param giveBack takes one that is not needed
   * @returns pieces that have all rows, in their order; stored ones where rows can't be read
   */
  load(
    stored: StoredSlab,
    take: () => Slab,
    giveBack: (slab: Slab) => void,
  ): Promise<readonly (Slab | StoredSlab)[]>;
}
