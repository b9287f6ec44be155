import { qualify } from '../postgres/quote-sql.js';
import { NAME_ENDINGS } from '../entry/check-definition.js';
import { columnName } from '../entry/columns.js';
import type { LedgerTable } from '../entry/ledger-definition.js';

/**
 * Milliseconds between `created_at` and `written_at` above which an entry is late: the index of late
 * entries holds those alone. Entries are usually written within `flushMs`, so it is nearly empty.
 * Rollups stay so far behind, and what they do not hold is read row by row.
 */
export const LATE_MS = 10_000;

/**
 * What rollups are kept by: one line of spans for each user, one for each API key, and one of all
 * entries, for reads that name neither.
 */
export const SERIES = [
  { series: 0, column: 'user_id' },
  { series: 1, column: 'api_key_id' },
  { series: 2, column: undefined },
] as const;

/** One of `SERIES`. @internal */
export type Series = (typeof SERIES)[number];

/**
 * Entries of a span, a little more if some have the same `created_at`. A read adds up the rows of at
 * most two broken spans, so fewer make it faster; more make the rollups smaller.
 * Source: `npm run bench -- read`.
 */
export const SPAN_ENTRIES = 128;

/** Spans of one level that make one of the next. */
export const FAN_OUT = 32;

/** The highest level: one of its spans stands for SPAN_ENTRIES * FAN_OUT ** TOP_LEVEL entries. */
export const TOP_LEVEL = 4;

/**
 * True for late entries; the index's predicate, so every query must repeat it letter by letter.
 * Immutable, as an index wants it, and safe for infinite times, which can't be subtracted before
 * PostgreSQL 17.
 */
export const IS_LATE = `CASE WHEN created_at < '2000-01-01 00:00:00+00' THEN true
  WHEN created_at > '9999-01-01 00:00:00+00' THEN false
  ELSE written_at - created_at > interval '${LATE_MS / 1000} seconds' END`;

/**
 * The order of the spans `r` of one line, as their index has it. By `hi` alone the planner would sort
 * all spans where the key is NULL: it does not take that for one value.
 */
export const IN_TIME = 'r.series, r.level, r.key, r.hi';
/** The same from the end. */
export const BACK_IN_TIME = 'r.series DESC, r.level DESC, r.key DESC, r.hi DESC';

/** Names of what the rollups consist of, quoted and qualified. @internal */
export interface RollupNames {
  readonly sqlRollups: string;
  readonly sqlState: string;
  readonly sqlMarks: string;
  readonly sqlBrin: string;
  readonly sqlLate: string;
  /** The function that answers a summary. */
  readonly sqlSummary: string;
}

/** @param connectionSchema as in `tableNames` @internal */
export function rollupNames(table: LedgerTable, connectionSchema: string | undefined): RollupNames {
  const schema = table.schema ?? connectionSchema;
  const name = (ending: keyof typeof NAME_ENDINGS): string =>
    qualify(schema, table.table + NAME_ENDINGS[ending]);
  return {
    sqlRollups: name('rollups'),
    sqlState: name('rollupState'),
    sqlMarks: name('rollupMarks'),
    sqlBrin: name('createdBrin'),
    sqlLate: name('lateIndex'),
    sqlSummary: name('rollupSummary'),
  };
}

/** Columns that the definition's rollups tell apart beside the built-in ones; snake case. @internal */
export function declaredDimensions(table: LedgerTable): string[] {
  return (table.rollup || []).map(columnName);
}

/** What all rollups tell apart. @internal */
export const BUILT_IN_DIMENSIONS: readonly string[] = ['user_id', 'api_key_id', 'service_id'];

/** All columns that rollups tell apart, unquoted; direction has two sums instead. @internal */
export function dimensions(table: LedgerTable): string[] {
  return [...BUILT_IN_DIMENSIONS, ...declaredDimensions(table)];
}

/** Dimensions that the rows of one series tell apart; its own column is their key. @internal */
export function seriesDimensions(table: LedgerTable, { column }: Series): string[] {
  // Who asks for a key alone is answered whoever used it; a total knows neither.
  const left = column === 'user_id' ? ['user_id'] : ['user_id', 'api_key_id'];
  return dimensions(table).filter((name) => !left.includes(name));
}
