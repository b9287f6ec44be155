import { MAX_ID_BYTES } from '../entry/ledger-definition.js';
import type { ColumnType, IdType } from '../entry/ledger-definition.js';
import { LedgerReadError } from '../errors/ledger-read.error.js';

/** Entries of one page if the caller names no number. */
export const DEFAULT_LIMIT = 50;
/** Entries that one page may have. */
export const MAX_LIMIT = 1000;

const MAX_BIGINT = 2n ** 63n - 1n;
const DECIMAL = /^[0-9]{1,19}$/;
const UUID = /^[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}$/i;

const ID_RULES: Record<IdType, string> = {
  bigint: 'must be an integer from 1 to 9223372036854775807, as safe number, bigint or string',
  uuid: 'must be a UUID',
  text: `must be a string of at most ${MAX_ID_BYTES} bytes without U+0000`,
};

/**
 * Refuses an argument that is no object, or has a field that nobody reads: a mistyped filter would
 * sum up everybody's entries.
 *
 * @returns the argument as an object
 * @throws LedgerReadError naming the field
 */
export function checkFields(query: unknown, fields: readonly string[]): Record<string, unknown> {
  if (typeof query !== 'object' || query === null || Array.isArray(query)) {
    throw new LedgerReadError('invalid', 'query', 'must be an object');
  }
  const unknown = Object.keys(query).find((key) => !fields.includes(key));
  if (unknown !== undefined) {
    const field = JSON.stringify(unknown.slice(0, 80));
    throw new LedgerReadError('invalid', field, `is none of ${fields.join(', ')}`);
  }
  return query as Record<string, unknown>;
}

/**
 * An id as the text that PostgreSQL reads as `type`.
 *
 * @throws LedgerReadError naming the field
 */
export function parseId(field: string, value: unknown, type: IdType): string {
  const text = idText(value, type);
  if (text === undefined) throw new LedgerReadError('invalid', field, ID_RULES[type]);
  return text;
}

function idText(value: unknown, type: IdType): string | undefined {
  if (type === 'bigint') {
    if (typeof value === 'number' && !Number.isSafeInteger(value)) return undefined;
    const text = typeof value === 'number' || typeof value === 'bigint' ? String(value) : value;
    if (typeof text !== 'string' || !DECIMAL.test(text)) return undefined;
    const id = BigInt(text);
    return id >= 1n && id <= MAX_BIGINT ? String(id) : undefined;
  }
  if (typeof value !== 'string') return undefined;
  if (type === 'uuid') return UUID.test(value) ? value : undefined;
  return value.includes('\0') || Buffer.byteLength(value) > MAX_ID_BYTES ? undefined : value;
}

const INTEGER = /^-?[0-9]{1,19}$/;

/** What a value of a declared column must be, by type; the others can't be asked for. */
const COLUMN_RULES: Partial<Record<ColumnType, { is(value: unknown): boolean; rule: string }>> = {
  text: {
    is: (value) => typeof value === 'string' && !value.includes('\0'),
    rule: 'must be a string without U+0000',
  },
  uuid: {
    is: (value) => typeof value === 'string' && UUID.test(value),
    rule: 'must be a UUID',
  },
  boolean: { is: (value) => typeof value === 'boolean', rule: 'must be a boolean' },
  integer: { is: (value) => isWithin(value, 2n ** 31n), rule: 'must be an integer of 32 bits' },
  bigint: { is: (value) => isWithin(value, 2n ** 63n), rule: 'must be an integer of 64 bits' },
};

/**
 * A declared column's value as the text that PostgreSQL reads as `type`.
 *
 * @throws LedgerReadError naming the field
 */
export function parseColumn(field: string, value: unknown, type: ColumnType): string {
  const known = COLUMN_RULES[type];
  if (!known)
    throw new LedgerReadError('invalid', field, `can't be asked for: its type is ${type}`);
  if (!known.is(value)) throw new LedgerReadError('invalid', field, known.rule);
  return String(value);
}

function isWithin(value: unknown, end: bigint): boolean {
  if (typeof value === 'number' ? !Number.isSafeInteger(value) : !isIntegerText(value))
    return false;
  const integer = BigInt(value as number | bigint | string);
  return integer >= -end && integer < end;
}

function isIntegerText(value: unknown): boolean {
  return typeof value === 'bigint' || (typeof value === 'string' && INTEGER.test(value));
}

/**
 * A moment as a Date of its own: the caller may go on to change what it gave, and a subclass has no
 * say in the text that is to stand in SQL.
 *
 * @throws LedgerReadError naming the field
 */
export function parseMoment(field: string, value: unknown): Date {
  const moment = new Date(value instanceof Date ? Date.prototype.getTime.call(value) : NaN);
  const year = moment.getUTCFullYear();
  // Years of four digits: others are spelled differently by JavaScript and PostgreSQL.
  if (!(year >= 1 && year <= 9999)) {
    throw new LedgerReadError('invalid', field, 'must be a valid Date of the years 1 to 9999');
  }
  return moment;
}

/** @throws LedgerReadError naming `limit` */
export function parseLimit(value: unknown): number {
  if (value === undefined) return DEFAULT_LIMIT;
  if (typeof value !== 'number' || !Number.isInteger(value) || value < 1 || value > MAX_LIMIT) {
    throw new LedgerReadError('invalid', 'limit', `must be an integer from 1 to ${MAX_LIMIT}`);
  }
  return value;
}
