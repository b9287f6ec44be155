import { quoteIdentifier } from '../postgres/quote-sql.js';
import { columnsOf, type LedgerColumn } from '../entry/columns.js';
import type { ColumnType, LedgerTable } from '../entry/ledger-definition.js';
import { millisOf } from './page-cursor.js';

/** Conversion of one column from SQL to plain JSON. */
interface FieldFormat {
  readonly field: string;
  /** Expression with a text result, or NULL. */
  readonly sql: string;
  readonly parse: (text: string) => unknown;
}

/** The select list of a ledger's rows and their parser; created once for a definition. @internal */
export interface RowFormat {
  /** For a select list; one expression for each field. */
  readonly selectList: string;
  /** @param texts the row's values in the order of the select list, NULL as null */
  parse(texts: readonly (string | null)[]): Record<string, unknown>;
  /** When the entry was created, in microseconds since 1970. @param texts as for `parse` */
  createdAt(texts: readonly (string | null)[]): bigint;
}

/** Microseconds from 1970 to PostgreSQL's epoch, 2000. */
const POSTGRES_EPOCH = 946_684_800_000_000;
/** PostgreSQL's values of `infinity` and `-infinity`. Source: datatype/timestamp.h. */
const INFINITE = '7fffffffffffffff';
const MINUS_INFINITE = '8000000000000000';
/** A cursor has 64 bits. */
const MAX_MICROS = 2n ** 63n - 1n;

/**
 * Every value is transferred as text and parsed here. No digit is lost, and the application's type
 * parsers, DateStyle and TimeZone have no effect.
 *
 * @internal
 */
export function rowFormat(table: LedgerTable): RowFormat {
  const fields = columnsOf(table).map(format);
  const createdAt = fields.findIndex(({ field }) => field === 'createdAt');
  return {
    selectList: fields.map(({ sql }) => sql).join(', '),
    parse(texts) {
      const entry: Record<string, unknown> = {};
      for (const [index, { field, parse }] of fields.entries()) {
        const text = texts[index] ?? null;
        entry[field] = text === null ? null : parse(text);
      }
      return entry;
    },
    createdAt: (texts) => microsOf(texts[createdAt] ?? MINUS_INFINITE),
  };
}

/**
 * A time in microseconds since 2000, in hexadecimal digits. `extract` returns a double before
 * PostgreSQL 14, and from then on a slower numeric.
 */
export function momentSql(column: string): string {
  return `encode(timestamptz_send(${column}), 'hex')`;
}

function format({ field, column: name, type }: LedgerColumn): FieldFormat {
  const column = quoteIdentifier(name);
  if (type === 'timestamptz') return { field, sql: momentSql(column), parse: isoTime };
  return { field, sql: `${column}::text`, parse: PARSERS[type] };
}

const asIs = (text: string): string => text;

const PARSERS: Record<Exclude<ColumnType, 'timestamptz'>, (text: string) => unknown> = {
  text: asIs,
  bigint: asIs,
  numeric: asIs,
  uuid: asIs,
  integer: Number,
  boolean: (text) => text === 'true',
  jsonb: (text) => JSON.parse(text) as unknown,
};

/**
 * ISO 8601 of a time from `momentSql`, rounded down to milliseconds; the ledger itself writes none
 * with more digits.
 */
export function isoTime(hex: string): string {
  const date = new Date(wholeMillis(hex));
  if (hex !== INFINITE && hex !== MINUS_INFINITE && !Number.isNaN(date.getTime())) {
    return date.toISOString();
  }
  // Only another writer can have stored a time beyond JavaScript's range.
  return hex < MINUS_INFINITE ? 'infinity' : '-infinity';
}

/** Since 1970. Numbers are exact until the year 2255, and ten times faster than BigInts. */
function wholeMillis(hex: string): number {
  const high = Number.parseInt(hex.slice(0, 8), 16) | 0;
  const micros = high * 2 ** 32 + Number.parseInt(hex.slice(8), 16) + POSTGRES_EPOCH;
  if (!Number.isSafeInteger(micros)) return Number(millisOf(microsOf(hex)));
  const rest = micros % 1000;
  return (micros - rest) / 1000 - (rest < 0 ? 1 : 0);
}

/** Since 1970; the largest or smallest value for infinite times. */
function microsOf(hex: string): bigint {
  if (hex === MINUS_INFINITE) return -MAX_MICROS;
  const micros = BigInt.asIntN(64, BigInt(`0x${hex}`)) + BigInt(POSTGRES_EPOCH);
  return micros < MAX_MICROS ? micros : MAX_MICROS;
}
