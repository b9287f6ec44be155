import type { Slab } from '../codec/slab.js';
import type { RowBlock } from './batch.js';

const NO_BYTES = Buffer.alloc(0);

/**
 * A slab whose rows are on disk only. It stands in the slab's place until they are read back; its rows can't
 * be read here.
 *
 * @internal
 */
export class StoredSlab implements RowBlock {
  readonly bytes = NO_BYTES;
  /** Position in the channel of the first row. */
  readonly position: number;
  readonly count: number;
  unsettled: number;
  /** Of its rows. */
  readonly rowBytes: number;
  /** Its rows are being read back. */
  isLoading = false;
  readonly #firstAt: number;

  /** @param slab no row of which was taken */
  constructor(slab: Slab) {
    this.position = slab.position;
    this.count = slab.count;
    this.unsettled = slab.count;
    this.rowBytes = slab.end;
    this.#firstAt = slab.appendedAt(0);
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
  /** The folder. */
  readonly place: string;
  /** Reads the rows of a slab back into an empty one. Tries until it succeeds; never rejects. */
  load(stored: StoredSlab, into: Slab): Promise<void>;
}
