import { describe, expect, it } from 'vitest';
import type { ColumnType } from '../entry/ledger-definition.js';
import { convertField, encodeField } from './convert-field.js';
import { createColumn } from './create-column.js';
import { rowTargetOf } from './row-target.js';

const UUID = '0190a6c1-2d3e-7f45-8a6b-0123456789ab';

/** A value converted from one type to another; undefined if it does not convert. */
function converted(from: ColumnType, to: ColumnType, value: unknown): unknown {
  const field = convertField(from, to)?.(encodeField(from, value)!);
  return field && createColumn(to).read(rowTargetOf(field), 0, field.length);
}

describe('a field of a column whose type was changed', () => {
  it.each<[ColumnType, unknown, ColumnType, unknown]>([
    ['integer', -7, 'bigint', '-7'],
    ['integer', -7, 'numeric', '-7'],
    ['integer', -7, 'text', '-7'],
    ['bigint', '9007199254740993', 'numeric', '9007199254740993'],
    ['bigint', '9007199254740993', 'text', '9007199254740993'],
    ['uuid', UUID, 'text', UUID],
  ])('of %s %s is one of %s: %s', (from, value, to, expected) => {
    expect(String(converted(from, to, value))).toBe(String(expected));
  });

  it.each<[ColumnType, unknown, ColumnType]>([
    ['bigint', '12', 'integer'],
    ['text', '12', 'integer'],
    ['numeric', '1.5', 'bigint'],
    ['boolean', true, 'text'],
    ['timestamptz', new Date(0), 'text'],
    ['jsonb', { a: 1 }, 'text'],
  ])('of %s %s is none of %s', (from, value, to) => {
    expect(converted(from, to, value)).toBeUndefined();
  });
});
