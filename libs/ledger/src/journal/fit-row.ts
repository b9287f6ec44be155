import { convertField } from '../codec/convert-field.js';
import { rowColumnsOf, type LedgerColumn } from '../entry/columns.js';
import type { LedgerTable } from '../entry/ledger-definition.js';
import { fieldsOf } from '../segments/row-frame.js';
import type { SegmentColumn } from '../segments/segment-description.js';

const COUNT_BYTES = 2;
const LENGTH_BYTES = 4;
const NULL_LENGTH = -1;

/**
 * Converts a row of a file to a row of the definition.
 *
 * @returns undefined if the definition has no column for a value, or only one of a type that the
 *   value does not fit
 * @internal
 */
export type FitRow = (row: Buffer) => Buffer | undefined;

/** Values that existing rows of the table received when a column was added, by column. @internal */
export type GivenFields = ReadonlyMap<string, Buffer>;

/**
 * Columns of a definition that the file lacks and for which `given` has no value. Their fields are
 * NULL, because no value exists.
 *
 * @internal
 */
export function absentColumns(
  from: readonly SegmentColumn[],
  table: LedgerTable,
  given: GivenFields = new Map(),
): ReadonlySet<string> {
  const names = rowColumnsOf(table).map(({ column }) => column);
  const isAbsent = (name: string): boolean =>
    !given.has(name) && from.every(({ column }) => column !== name);
  return new Set(names.filter(isAbsent));
}

/**
 * The row without some of its fields.
 * @param kept indexes of the remaining ones, ascending
 * @internal
 */
export function narrowRow(row: Buffer, columns: number, kept: readonly number[]): Buffer {
  const fields = fieldsOf(row, columns);
  return rowOf(kept.map((index) => fields[index]!));
}

type TakeField = (fields: readonly (Buffer | null)[]) => Buffer | null | undefined;

/**
 * Converts rows of a file to rows of a definition. The definition may have fewer or more columns
 * than the one that wrote the rows, or a column of another type. The result is the same as if the
 * rows had been in the table before it was altered.
 *
 * @param given for columns that the file does not have; missing ones are NULL
 * @returns undefined if they already are rows of the definition
 * @internal
 */
export function fitRows(
  from: readonly SegmentColumn[],
  table: LedgerTable,
  given: GivenFields = new Map(),
): FitRow | undefined {
  const columns = rowColumnsOf(table);
  const isSame =
    from.length === columns.length &&
    columns.every(({ column, type }, index) => {
      return from[index]!.column === column && from[index]!.type === type;
    });
  if (isSame) return undefined;
  const takes = columns.map((column) => takeField(from, column, given));
  const without = [...from.keys()].filter((index) =>
    columns.every(({ column }) => column !== from[index]!.column),
  );
  return (row) => {
    const fields = fieldsOf(row, from.length);
    if (without.some((index) => fields[index] !== null)) return undefined;
    const fitted = takes.map((take) => take(fields));
    return fitted.every((field) => field !== undefined) ? rowOf(fitted) : undefined;
  };
}

function takeField(
  from: readonly SegmentColumn[],
  { column, type, isDeclared }: LedgerColumn,
  given: GivenFields,
): TakeField {
  const index = from.findIndex((each) => each.column === column);
  if (index < 0) return () => given.get(column) ?? null;
  const before = from[index]!.type;
  if (before === type) return (fields) => fields[index];
  const convert = isDeclared ? convertField(before, type) : undefined;
  return (fields) => {
    const field = fields[index]!;
    return field === null ? null : convert?.(field);
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
