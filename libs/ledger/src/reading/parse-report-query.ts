import type { LedgerTable } from '../entry/ledger-definition.js';
import { LedgerReadError } from '../errors/ledger-read.error.js';
import type { Filter } from '../ports/summary-filter.interface.js';
import { checkFields, filterOf, parseMoment, parseWhere, refuseTwice } from './parse-read-query.js';

/** A checked query of a report, with names that the definition has. */
export interface CheckedReport {
  readonly from: Date | string;
  readonly to: Date | string;
  readonly timeZone: string;
  readonly filters: readonly Filter[];
  readonly groupBy: readonly string[];
  readonly sum: readonly string[];
  readonly writtenBefore: Date | undefined;
}

const FIELDS = [
  ...['from', 'to', 'timeZone', 'userId', 'where', 'groupBy', 'sum'],
  ...['writtenBefore', 'fresh'],
];
export const PERIODS = ['hour', 'day', 'month'];
const OWN_DIMENSIONS = [...PERIODS, 'userId', 'apiKeyId', 'serviceId', 'direction'];
const SUMMABLE = ['bigint', 'integer', 'numeric'];
/** Figures of every row; a declared column with the same name would collide. */
const FIGURES = ['consumedTokens', 'suppliedTokens', 'netTokens', 'entries'];
/** Longer than any time zone's name. */
const MAX_ZONE_LENGTH = 64;
const DAY = /^\d{4}-\d{2}-\d{2}$/;

/** @throws LedgerReadError naming the field and its rule */
export function parseReportQuery(table: LedgerTable, query: unknown): CheckedReport {
  const fields = checkFields(query, FIELDS);
  const { columns } = table;
  const declared = Object.keys(columns).filter((field) => !FIGURES.includes(field));
  const groupBy = parseNames('groupBy', fields['groupBy'], [...OWN_DIMENSIONS, ...declared]);
  const summable = declared.filter(
    (field) => SUMMABLE.includes(columns[field]!) && !groupBy.includes(field),
  );
  const { userId, writtenBefore } = fields;
  const user = userId === undefined ? [] : [filterOf(table, 'userId', userId)];
  return {
    from: parsePeriodEnd('from', fields['from']),
    to: parsePeriodEnd('to', fields['to']),
    timeZone: parseTimeZone(fields['timeZone']),
    filters: refuseTwice([...user, ...parseWhere(table, fields['where'])]),
    groupBy,
    sum: parseNames('sum', fields['sum'], summable),
    writtenBefore:
      writtenBefore === undefined ? undefined : parseMoment('writtenBefore', writtenBefore),
  };
}

function parsePeriodEnd(field: string, value: unknown): Date | string {
  if (typeof value !== 'string') return parseMoment(field, value);
  const date = new Date(`${value}T00:00:00Z`);
  // The 30th of February would be read as a day of March.
  const isDay =
    DAY.test(value) && !Number.isNaN(date.getTime()) && date.toISOString().startsWith(value);
  if (!isDay || value < '0001') {
    throw new LedgerReadError('invalid', field, 'must be a Date or a day like 2026-03-29');
  }
  return value;
}

function parseTimeZone(value: unknown): string {
  if (value === undefined) return 'UTC';
  const rule = "must be a time zone's IANA name, as Europe/Berlin, or UTC";
  const fault = new LedgerReadError('invalid', 'timeZone', rule);
  // Names without a region are abbreviations to PostgreSQL before they are names: CET has no summer
  // then. An offset like +02:00 means the opposite to it.
  if (
    typeof value !== 'string' ||
    value.length > MAX_ZONE_LENGTH ||
    !/^(?:UTC|GMT|[A-Za-z].*\/.*)$/.test(value)
  )
    throw fault;
  try {
    new Intl.DateTimeFormat('en', { timeZone: value });
    return value;
  } catch {
    throw fault;
  }
}

function parseNames(field: string, value: unknown, known: readonly string[]): readonly string[] {
  if (value === undefined) return [];
  const names: readonly unknown[] = Array.isArray(value) ? value : [undefined];
  const isKnown = names.every((name) => typeof name === 'string' && known.includes(name));
  if (!isKnown || new Set(names).size < names.length) {
    throw new LedgerReadError('invalid', field, `must be different names of ${known.join(', ')}`);
  }
  // A copy, because the caller may change its array.
  return [...(names as readonly string[])];
}
