import type { RowBatch } from '../ports/ledger-sink.interface.js';

/** Rows that were encoded one by one, as a batch. @internal */
export class RowList implements RowBatch {
  readonly count: number;
  readonly bytes: number;

  /** @param rows at least one */
  constructor(private readonly rows: readonly Buffer[]) {
    this.count = rows.length;
    this.bytes = rows.reduce((sum, row) => sum + row.length, 0);
  }

  slices(): Buffer[] {
    return [...this.rows];
  }

  row(index: number): Buffer {
    const row = this.rows[index];
    if (row === undefined) throw new RangeError(`row ${index} of a batch of ${this.count}`);
    return row;
  }
}
