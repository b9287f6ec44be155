import type { ColumnType, IdType } from '../entry/ledger-definition.js';
import type { ColumnCodec } from './column-codec.js';
import { createColumn, createIdColumn } from './create-column.js';
import { DirectionColumn } from './plain-columns.js';
import { createRowTarget } from './row-target.js';
import { inexactRule } from './text-column.js';

/** Extra bytes for a row's field: some columns write whole words. */
const SPARE_BYTES = 16;

/** A requested value as text for PostgreSQL, or the rule that it breaks. */
export type AskedValue =
  { readonly text: string; readonly rule?: undefined } | { readonly rule: string };

/**
 * Checks a requested id by the rules for recorded ids, so that reads refuse ids that no entry can
 * have. Never throws.
 *
 * @param value neither null nor undefined
 * @internal
 */
export function askedId(value: unknown, type: IdType): AskedValue {
  return ask(createIdColumn(type), value);
}

/**
 * Checks a declared column's value like `askedId`. Characters that a write would replace are
 * refused, because the read would return the entries of another value.
 *
 * @param value neither null nor undefined
 * @internal
 */
export function askedColumn(value: unknown, type: ColumnType): AskedValue {
  const answer = ask(createColumn(type), type === 'integer' ? integerOf(value) : value);
  if (answer.rule !== undefined) return answer;
  const rule = typeof value === 'string' && type === 'text' ? inexactRule(value) : undefined;
  if (rule !== undefined) return { rule };
  if (type === 'jsonb' && JSON.stringify(value) !== answer.text) {
    return { rule: 'must be a JSON value without U+0000 and lone surrogates' };
  }
  return answer;
}

/** Queries come from addresses, where every value is text. */
function integerOf(value: unknown): unknown {
  const isText = typeof value === 'string' && /^-?\d{1,19}$/.test(value);
  return isText || typeof value === 'bigint' ? Number(value) : value;
}

/** Checks `direction` like `askedId`. @internal */
export function askedDirection(value: unknown): AskedValue {
  return ask(new DirectionColumn(), value);
}

function ask(column: ColumnCodec, value: unknown): AskedValue {
  try {
    const rule = column.take(value);
    if (rule !== undefined) return { rule };
  } catch {
    return { rule: 'must be readable, but reading it threw' };
  }
  const target = createRowTarget(column.maxBytes + SPARE_BYTES);
  const read = column.read(target, 4, column.write(target, 0));
  return { text: typeof read === 'string' ? read : JSON.stringify(read) };
}
