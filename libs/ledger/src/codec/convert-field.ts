import type { ColumnType } from '../entry/ledger-definition.js';
import { createColumn } from './create-column.js';
import { createRowTarget, rowTargetOf } from './row-target.js';

/** Types that hold every value of another type without changing its meaning. */
const WIDER: Partial<Record<ColumnType, readonly ColumnType[]>> = {
  integer: ['bigint', 'numeric', 'text'],
  bigint: ['numeric', 'text'],
  uuid: ['text'],
};
const LENGTH_BYTES = 4;

/** Converts a field from one type to another. @returns undefined if its value does not fit */
export type ConvertField = (bytes: Buffer) => Buffer | undefined;

/**
 * Converts values to the column's present type, like `ALTER COLUMN … TYPE` does for values in the
 * table.
 *
 * @returns undefined if the types are not compatible
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
