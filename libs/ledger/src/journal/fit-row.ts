import { rowColumnsOf } from '../entry/columns.js';
import type { LedgerTable } from '../entry/ledger-definition.js';
import { fieldsOf } from '../segments/row-frame.js';
import type { SegmentColumn } from '../segments/segment-description.js';

const COUNT_BYTES = 2;
const LENGTH_BYTES = 4;
const NULL_LENGTH = -1;

/**
 * Makes a row of a file a row of the definition.
 *
 * @returns undefined if the row has a value that the definition has no column of its type for
 * @internal
 */
export type FitRow = (row: Buffer) => Buffer | undefined;

/**
 * How rows of a file become rows of a definition, which may have a column less or more than the one that
 * wrote them. Values are taken over as they are; columns that the file does not have are NULL.
 *
 * @returns undefined if they are rows of it already
 * @internal
 */
export function fitRows(from: readonly SegmentColumn[], table: LedgerTable): FitRow | undefined {
  const columns = rowColumnsOf(table);
  const sources = columns.map(({ column, type }) =>
    from.findIndex((each) => each.column === column && each.type === type),
  );
  const isSame = from.length === columns.length && sources.every((each, index) => each === index);
  if (isSame) return undefined;
  const without = [...from.keys()].filter((index) => !sources.includes(index));
  return (row) => {
    const fields = fieldsOf(row, from.length);
    if (without.some((index) => fields[index] !== null)) return undefined;
    return rowOf(sources.map((index) => (index < 0 ? null : fields[index]!)));
  };
}

function rowOf(fields: readonly (Buffer | null)[]): Buffer {
  const bytes = fields.reduce((sum, field) => sum + LENGTH_BYTES + (field?.length ?? 0), 0);
  const row = Buffer.allocUnsafe(COUNT_BYTES + bytes);
  let at = row.writeInt16BE(fields.length, 0);
  for (const field of fields) {
    at = row.writeInt32BE(field?.length ?? NULL_LENGTH, at);
    if (field !== null) at += field.copy(row, at);
  }
  return row;
}
