import type { RowBatch } from '../ports/ledger-sink.interface.js';

/** Some rows of a batch, as a batch; nothing is copied. @internal */
export class PickedRows implements RowBatch {
  readonly #rows: readonly Buffer[];

  /** @param indexes of the rows in `batch`, in the order wanted */
  constructor(batch: RowBatch, indexes: readonly number[]) {
    this.#rows = indexes.map((index) => batch.row(index));
  }

  get count(): number {
    return this.#rows.length;
  }

  get bytes(): number {
    return this.#rows.reduce((sum, row) => sum + row.length, 0);
  }

  slices(): Buffer[] {
    return [...this.#rows];
  }

  row(index: number): Buffer {
    return this.#rows[index]!;
  }
}
