import type { RowTarget } from './row-target.js';

/**
 * Bytes of a slab. Large enough to make allocations rare, small enough that one unsettled row holds
 * little memory. Source: `npm run bench -- record`, no gain above 1 MiB.
 */
export const SLAB_BYTES = 1_048_576;
/** Rows of a slab. 1 MiB of the smallest rows, of about 90 bytes, is fewer. */
const SLAB_ROWS = 16_384;
/** Memory of a slab, including the ends and ages of its rows. */
export const SLAB_FOOTPRINT_BYTES = SLAB_BYTES + 8 * SLAB_ROWS;

/**
 * A fixed block of memory that holds rows contiguously, in order of arrival. Rows are appended
 * until it is full. Its memory can be used again when the last row is settled.
 *
 * @internal
 */
export class Slab implements RowTarget {
  readonly bytes: Buffer;
  readonly view: DataView;
  /** Rows appended. */
  count = 0;
  /** Appended rows that are not settled. */
  unsettled = 0;
  /** Position of the first row in the channel. */
  position = 0;
  readonly #ends: Uint32Array;
  readonly #ages: Uint32Array;
  #epochMs = 0;

  /**
   * @param memory default: its own, outside Node's shared pool, so that it keeps no other memory
   *   alive
   * @param offset of the slab's `SLAB_FOOTPRINT_BYTES` in that memory, a multiple of 4
   */
  constructor(memory = Buffer.allocUnsafeSlow(SLAB_FOOTPRINT_BYTES).buffer, offset = 0) {
    this.bytes = Buffer.from(memory, offset, SLAB_BYTES);
    this.view = new DataView(memory, offset, SLAB_BYTES);
    this.#ends = new Uint32Array(memory, offset + SLAB_BYTES, SLAB_ROWS);
    this.#ages = new Uint32Array(memory, this.#ends.byteOffset + 4 * SLAB_ROWS, SLAB_ROWS);
  }

  /** Offset after the last row. */
  get end(): number {
    return this.count === 0 ? 0 : this.#ends[this.count - 1]!;
  }

  hasRoom(rowBytes: number): boolean {
    return this.count < SLAB_ROWS && this.end + rowBytes <= SLAB_BYTES;
  }

  /** Counts a row written after the last one. @param now monotonic milliseconds */
  append(end: number, now: number): void {
    if (this.count === 0) this.#epochMs = now;
    this.#ends[this.count] = end;
    this.#ages[this.count] = now - this.#epochMs;
    this.count++;
    this.unsettled++;
  }

  startOf(row: number): number {
    return row === 0 ? 0 : this.#ends[row - 1]!;
  }

  endOf(row: number): number {
    return this.#ends[row]!;
  }

  /** Monotonic milliseconds of a row's append. */
  appendedAt(row: number): number {
    return this.#epochMs + this.#ages[row]!;
  }

  /** Forgets all rows, so that the memory can be used again. */
  clear(): void {
    this.count = 0;
    this.unsettled = 0;
  }
}
