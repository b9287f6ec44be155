import { quoteIdentifier } from '../postgres/quote-sql.js';
import { columnsOf, type LedgerColumn } from '../entry/columns.js';
import type { ColumnType, LedgerTable } from '../entry/ledger-definition.js';
import { millisOf } from './page-cursor.js';

/** One column on its way from SQL to plain JSON. */
interface FieldFormat {
  readonly field: string;
  /** Expression that the server answers with text, or NULL. */
  readonly sql: string;
  readonly parse: (text: string) => unknown;
}

/** How a ledger's rows are asked for and read; made once for a definition. @internal */
export interface RowFormat {
  /** For a select list; one expression for each field. */
  readonly selectList: string;
  /** @param texts the row's values in the order of the select list, NULL as null */
  parse(texts: readonly (string | null)[]): Record<string, unknown>;
  /** When the entry was created, in microseconds since 1970. @param texts as for `parse` */
  createdAt(texts: readonly (string | null)[]): bigint;
}

/** Microseconds from 1970 to 2000, where PostgreSQL begins to count. */
const POSTGRES_EPOCH = 946_684_800_000_000;
/** Values of PostgreSQL for times without end. Source: datatype/timestamp.h. */
const INFINITE = '7fffffffffffffff';
const MINUS_INFINITE = '8000000000000000';
/** A cursor has 64 bits. */
const MAX_MICROS = 2n ** 63n - 1n;

/**
 * Every value travels as text and is read here: no digit is lost, and it does not matter which type
 * parsers, DateStyle or TimeZone an application has set.
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
 * A time as the server has it, microseconds since 2000 in hexadecimal digits: `extract` is a double
 * before PostgreSQL 14, and a number of many digits, which takes longer, from then on.
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

/** ISO 8601 of what `momentSql` gave, in milliseconds, rounded down; the ledger itself writes none that has more digits. */
export function isoTime(hex: string): string {
  const date = new Date(wholeMillis(hex));
  if (hex !== INFINITE && hex !== MINUS_INFINITE && !Number.isNaN(date.getTime())) {
    return date.toISOString();
  }
  // Only another writer can have put a time there that JavaScript does not know.
  return hex < MINUS_INFINITE ? 'infinity' : '-infinity';
}

/** Since 1970. Numbers are exact until the year 2255, and take a tenth of the time of BigInts. */
function wholeMillis(hex: string): number {
  const high = Number.parseInt(hex.slice(0, 8), 16) | 0;
  const micros = high * 2 ** 32 + Number.parseInt(hex.slice(8), 16) + POSTGRES_EPOCH;
  if (!Number.isSafeInteger(micros)) return Number(millisOf(microsOf(hex)));
  const rest = micros % 1000;
  return (micros - rest) / 1000 - (rest < 0 ? 1 : 0);
}

/** Since 1970; of a time without end the largest or smallest that there is. */
function microsOf(hex: string): bigint {
  if (hex === MINUS_INFINITE) return -MAX_MICROS;
  const micros = BigInt.asIntN(64, BigInt(`0x${hex}`)) + BigInt(POSTGRES_EPOCH);
  return micros < MAX_MICROS ? micros : MAX_MICROS;
}
