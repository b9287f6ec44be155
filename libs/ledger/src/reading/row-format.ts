import { columnName } from '../entry/ledger-definition.js';
import type { ColumnType, LedgerTable } from '../entry/ledger-definition.js';
import { quoteIdentifier } from '../migrations/table-names.js';
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

/** Larger than any time of PostgreSQL; its own value for infinity. */
const INFINITE_MICROS = 9_223_372_036_854_775_807n;

/**
 * Every value travels as text and is read here: no digit is lost, and it does not matter which type
 * parsers, DateStyle or TimeZone an application has set.
 *
 * @internal
 */
export function rowFormat(table: LedgerTable): RowFormat {
  const fields = [
    format('uuid', 'uuid'),
    format('userId', table.ids),
    format('apiKeyId', table.ids),
    format('serviceId', table.ids),
    format('promptTokens', 'integer'),
    format('completionTokens', 'integer'),
    format('direction', 'text'),
    format('memo', 'text'),
    format('attributes', 'jsonb'),
    format('corrects', 'uuid'),
    format('createdAt', 'timestamptz'),
    format('writtenAt', 'timestamptz'),
    ...Object.entries(table.columns).map(([field, type]) => format(field, type)),
  ];
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
    createdAt: (texts) => BigInt(texts[createdAt] ?? 0),
  };
}

/** SQL for a time as microseconds since 1970, in decimal text; NULL stays NULL. */
function microsSql(column: string): string {
  return (
    `CASE WHEN isfinite(${column}) THEN (extract(epoch FROM ${column}) * 1000000)::bigint ` +
    `WHEN ${column} > now() THEN ${INFINITE_MICROS} ` +
    `WHEN ${column} < now() THEN -${INFINITE_MICROS} END::text`
  );
}

function format(field: string, type: ColumnType): FieldFormat {
  const column = quoteIdentifier(columnName(field));
  if (type === 'timestamptz') return { field, sql: microsSql(column), parse: isoTime };
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

/** ISO 8601 in milliseconds, rounded down; the ledger itself writes none that has more digits. */
function isoTime(micros: string): string {
  const date = new Date(wholeMillis(micros));
  if (!Number.isNaN(date.getTime())) return date.toISOString();
  // Only another writer can have put a time there that JavaScript does not know.
  return micros.startsWith('-') ? '-infinity' : 'infinity';
}

/** Numbers are exact until the year 2255, and take a tenth of the time of BigInts. */
function wholeMillis(micros: string): number {
  const count = Number(micros);
  if (!Number.isSafeInteger(count)) return Number(millisOf(BigInt(micros)));
  const rest = count % 1000;
  return (count - rest) / 1000 - (rest < 0 ? 1 : 0);
}
