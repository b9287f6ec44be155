import type { RowBatch } from '../ports/ledger-sink.interface.js';

/** Indexes of the first rows of each key in a batch, and of the others. @internal */
export interface SplitRows {
  readonly firsts: number[];
  readonly copies: number[];
}

/**
 * Separates repeated keys by the bytes of the key's fields.
 *
 * @param indexes of the rows to split
 * @param fields positions of the key's columns in a row, from 0
 * @internal
 */
export function splitCopies(
  batch: RowBatch,
  indexes: readonly number[],
  fields: readonly number[],
): SplitRows {
  const seen = new Set<string>();
  const split: SplitRows = { firsts: [], copies: [] };
  for (const index of indexes) {
    const key = keyOf(batch.row(index), fields);
    (seen.has(key) ? split.copies : split.firsts).push(index);
    seen.add(key);
  }
  return split;
}

/** A row is its number of fields (2 bytes), then length (4, -1 for NULL) and bytes of each. */
function keyOf(row: Buffer, fields: readonly number[]): string {
  let key = '';
  let at = 2;
  for (let field = 0; at < row.length; field++) {
    const end = at + 4 + Math.max(row.readInt32BE(at), 0);
    if (fields.includes(field)) key += row.toString('latin1', at, end);
    at = end;
  }
  return key;
}
