import { askedColumn, askedDirection, askedId, type AskedValue } from '../codec/asked-value.js';
import { columnName } from '../entry/columns.js';
import type { ColumnType, IdType, LedgerTable } from '../entry/ledger-definition.js';
import { LedgerReadError } from '../errors/ledger-read.error.js';
import type { Filter } from '../ports/summary-filter.interface.js';

/** Default number of entries of one page. */
export const DEFAULT_LIMIT = 50;
/** Maximum entries of one page. */
export const MAX_LIMIT = 1000;

/**
 * Refuses an argument that is not an object or has unknown fields: a mistyped filter would sum the
 * entries of all users.
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
 * An id in PostgreSQL's text format of `type`, checked like an entry's.
 *
 * @throws LedgerReadError naming the field
 */
export function parseId(field: string, value: unknown, type: IdType): string {
  return textOf(field, value, () => askedId(value, type));
}

/**
 * A declared column's value in PostgreSQL's text format of `type`.
 *
 * @throws LedgerReadError naming the field
 */
export function parseColumn(field: string, value: unknown, type: ColumnType): string {
  return textOf(field, value, () => askedColumn(value, type));
}

function textOf(field: string, value: unknown, ask: () => AskedValue): string {
  if (value === undefined || value === null) {
    throw new LedgerReadError('invalid', field, `is required, got ${value}`);
  }
  const asked = ask();
  if (asked.rule === undefined) return asked.text;
  throw new LedgerReadError('invalid', field, asked.rule);
}

const ID_FIELDS = ['userId', 'apiKeyId', 'serviceId'];

/**
 * The conditions of a query's `where`; null matches NULL. `undefined` is refused, because a value
 * that is missing by mistake would select the entries of all users.
 *
 * @throws LedgerReadError naming `where` or its field
 */
export function parseWhere(table: LedgerTable, where: unknown): Filter[] {
  if (where === undefined) return [];
  if (typeof where !== 'object' || where === null || Array.isArray(where)) {
    throw new LedgerReadError('invalid', 'where', 'must be an object');
  }
  const known = [...ID_FIELDS, 'direction', ...Object.keys(table.columns)];
  return Object.entries(checkFields(where, known)).map(([field, value]) => {
    if (value === undefined) {
      const rule = "must be a value or null: undefined would select everybody's entries";
      throw new LedgerReadError('invalid', `where.${field}`, rule);
    }
    // Every entry has a user, so no user is a mistake too.
    if (value === null && field !== 'userId') return { ...columnOf(table, field), value };
    return filterOf(table, field, value);
  });
}

function columnOf(table: LedgerTable, field: string): Omit<Filter, 'value'> {
  const type = ID_FIELDS.includes(field) ? table.ids : (table.columns[field] ?? 'text');
  return { field, column: columnName(field), type };
}

/**
 * One condition: an id, `direction` or a declared column with a value.
 *
 * @throws LedgerReadError naming the field
 */
export function filterOf(table: LedgerTable, field: string, value: unknown): Filter {
  const parse = (): string => {
    if (ID_FIELDS.includes(field)) return parseId(field, value, table.ids);
    const type = table.columns[field];
    if (type !== undefined) return parseColumn(field, value, type);
    return textOf(field, value, () => askedDirection(value));
  };
  return { ...columnOf(table, field), value: parse() };
}

/** @throws LedgerReadError for a field with two conditions, because one must be a mistake */
export function refuseTwice(filters: readonly Filter[]): readonly Filter[] {
  const fields = filters.map(({ field }) => field);
  const twice = fields.find((field, index) => fields.indexOf(field) < index);
  if (twice === undefined) return filters;
  throw new LedgerReadError('invalid', twice, 'is given twice: in `where` and outside it');
}

/**
 * A copy of a Date: the caller may change its own later, and a subclass must not influence the text
 * in SQL.
 *
 * @throws LedgerReadError naming the field
 */
export function parseMoment(field: string, value: unknown): Date {
  const moment = new Date(value instanceof Date ? Date.prototype.getTime.call(value) : NaN);
  const year = moment.getUTCFullYear();
  // Years of four digits, because JavaScript and PostgreSQL write others differently.
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
