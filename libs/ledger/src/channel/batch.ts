import type { RowBatch } from '../ports/ledger-sink.interface.js';

/**
 * A block of memory with consecutive rows: a slab of the channel, or rows from a file.
 * @internal
 */
export interface RowBlock {
  readonly bytes: Buffer;
  /** Offset of a row in `bytes`, and the offset after it. */
  startOf(row: number): number;
  endOf(row: number): number;
  /** Monotonic milliseconds when a row was appended. */
  appendedAt(row: number): number;
  /** Columns that the rows lacked when they were accepted; they are NULL here. Default: none. */
  readonly absent?: ReadonlySet<string>;
}

/** Rows `from` to `to` - 1 of a block; the first has this position in the channel. @internal */
export interface RowRange<Block extends RowBlock = RowBlock> {
  readonly slab: Block;
  readonly from: number;
  readonly to: number;
  /** Position in the channel of row `from`: 0 for the first entry of the run. */
  readonly position: number;
}

/**
 * Rows taken by a worker: views on slabs, without a copy. A batch is immutable. Setting a row aside
 * and halving make new batches over the same rows.
 *
 * @internal
 */
export class Batch<Block extends RowBlock = RowBlock> implements RowBatch {
  readonly count: number;
  readonly bytes: number;

  /** @param ranges at least one, in order, none empty */
  constructor(readonly ranges: readonly RowRange<Block>[]) {
    let count = 0;
    let bytes = 0;
    for (const { slab, from, to } of ranges) {
      count += to - from;
      bytes += slab.endOf(to - 1) - slab.startOf(from);
    }
    this.count = count;
    this.bytes = bytes;
  }

  /** Position in the channel of the first row. */
  get position(): number {
    return this.ranges[0]!.position;
  }

  /** Monotonic milliseconds when the first row was appended. */
  get oldestAt(): number {
    const { slab, from } = this.ranges[0]!;
    return slab.appendedAt(from);
  }

  slices(): Buffer[] {
    return this.ranges.map(({ slab, from, to }) =>
      slab.bytes.subarray(slab.startOf(from), slab.endOf(to - 1)),
    );
  }

  row(index: number): Buffer {
    const { slab, row } = this.#locate(index);
    return slab.bytes.subarray(slab.startOf(row), slab.endOf(row));
  }

  /** Position in the channel of a row. */
  positionOf(index: number): number {
    return this.#locate(index).position;
  }

  /** Whether the batch contains the row at a position of the channel. */
  holds(position: number): boolean {
    return this.ranges.some(
      (range) => position >= range.position && position < range.position + range.to - range.from,
    );
  }

  /** Monotonic milliseconds when a row was appended. */
  appendedAt(index: number): number {
    const { slab, row } = this.#locate(index);
    return slab.appendedAt(row);
  }

  /** Rows `from` to `to` - 1 as a batch; undefined if there are none. */
  part(from: number, to: number): Batch<Block> | undefined {
    const ranges: RowRange<Block>[] = [];
    let start = 0;
    for (const range of this.ranges) {
      const first = Math.max(from - start, 0);
      const last = Math.min(to - start, range.to - range.from);
      if (first < last) ranges.push(cut(range, first, last));
      start += range.to - range.from;
    }
    return ranges.length === 0 ? undefined : new Batch(ranges);
  }

  /** All rows but one; undefined if that was the only one. */
  without(index: number): Batch<Block> | undefined {
    const before = this.part(0, index)?.ranges ?? [];
    const behind = this.part(index + 1, this.count)?.ranges ?? [];
    return before.length + behind.length === 0 ? undefined : new Batch([...before, ...behind]);
  }

  /**
   * The rows with these indexes, and all others, as batches; undefined for an empty one.
   * @param indexes ascending
   */
  split(
    indexes: readonly number[],
  ): [picked: Batch<Block> | undefined, others: Batch<Block> | undefined] {
    const [picked, others]: [RowRange<Block>[], RowRange<Block>[]] = [[], []];
    let start = 0;
    for (const index of indexes) {
      others.push(...(this.part(start, index)?.ranges ?? []));
      picked.push(...(this.part(index, index + 1)?.ranges ?? []));
      start = index + 1;
    }
    others.push(...(this.part(start, this.count)?.ranges ?? []));
    const [one, other] = [picked, others].map((ranges) =>
      ranges.length === 0 ? undefined : new Batch(ranges),
    );
    return [one, other];
  }

  #locate(index: number): { slab: Block; row: number; position: number } {
    let start = index;
    for (const { slab, from, to, position } of this.ranges) {
      if (start < to - from) return { slab, row: from + start, position: position + start };
      start -= to - from;
    }
    throw new RangeError(`row ${index} of a batch of ${this.count}`);
  }
}

function cut<Block extends RowBlock>(
  range: RowRange<Block>,
  first: number,
  last: number,
): RowRange<Block> {
  const { slab, from, position } = range;
  return { slab, from: from + first, to: from + last, position: position + first };
}
