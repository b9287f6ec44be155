import type { RowBatch } from '../ports/ledger-sink.interface.js';

/** Some rows of a batch, as a batch without copying. @internal */
export class PickedRows implements RowBatch {
  readonly #rows: readonly Buffer[];

  /** @param indexes of the rows in `batch`, in the desired order */
  constructor(batch: RowBatch, indexes: readonly number[]) {
    this.#rows = indexes.map((index) => batch.row(index));
  }

  get count(): number {
    return this.#rows.length;
  }

  get bytes(): number {
    return this.#rows.reduce((sum, row) => sum + row.length, 0);
  }

  /**
   * Rows that are adjacent in memory form one view, because a socket handles few large parts
   * faster.
   */
  slices(): Buffer[] {
    const slices: Buffer[] = [];
    for (const row of this.#rows) {
      const last = slices.at(-1);
      const isNext =
        last?.buffer === row.buffer && last.byteOffset + last.length === row.byteOffset;
      if (!isNext) slices.push(row);
      else slices.splice(-1, 1, Buffer.from(row.buffer, last.byteOffset, last.length + row.length));
    }
    return slices;
  }

  row(index: number): Buffer {
    return this.#rows[index]!;
  }
}
