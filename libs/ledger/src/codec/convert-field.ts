import type { ColumnType } from '../entry/ledger-definition.js';
import { createColumn } from './create-column.js';
import { createRowTarget, rowTargetOf } from './row-target.js';

/** Types that a column of another type may become without a change of what a value says. */
const WIDER: Partial<Record<ColumnType, readonly ColumnType[]>> = {
  integer: ['bigint', 'numeric', 'text'],
  bigint: ['numeric', 'text'],
  uuid: ['text'],
};
const LENGTH_BYTES = 4;

/** A field of one type as one of another. @returns undefined if its value does not fit */
export type ConvertField = (bytes: Buffer) => Buffer | undefined;

/**
 * How values of a column get the type that the column has now, as `ALTER COLUMN … TYPE` gives it to those in the
 * table.
 *
 * @returns undefined if the two types don't say the same
 * @internal
 */
export function convertField(from: ColumnType, to: ColumnType): ConvertField | undefined {
  if (WIDER[from]?.includes(to) !== true) return undefined;
  const reader = createColumn(from);
  return (bytes) => {
    const value = reader.read(rowTargetOf(bytes), 0, bytes.length);
    return encodeField(to, to === 'text' ? String(value) : value);
  };
}

/** @param value not null @returns undefined if the type has no such value @internal */
export function encodeField(type: ColumnType, value: unknown): Buffer | undefined {
  const column = createColumn(type);
  if (column.take(value) !== undefined) return undefined;
  const target = createRowTarget(column.maxBytes);
  return target.bytes.subarray(LENGTH_BYTES, column.write(target, 0));
}
