import { NAME_ENDINGS } from '../entry/check-definition.js';
import { columnName } from '../entry/columns.js';
import type { LedgerTable } from '../entry/ledger-definition.js';
import { fillTemplate } from '../postgres/fill-template.js';
import { MEASURES_OF_ENTRY } from '../postgres/measures-sql.js';
import { templateValues } from '../postgres/migration-script.js';
import { columnList, qualify } from '../postgres/quote-sql.js';

/** Values of an SQL template's words. @internal */
export type TemplateValues = Readonly<Record<string, string>>;

/**
 * Milliseconds between `created_at` and `written_at` above which an entry is late. The index of
 * late entries contains only those. It is nearly empty, because entries are usually written within
 * `flushMs`. The watermark stays this far behind, and summaries read everything above it from the
 * rows.
 */
export const LATE_MS = 10_000;

/** A series of buckets for each user, one for each API key, and one for all entries. */
export const SERIES = [
  { series: 0, column: 'user_id' },
  { series: 1, column: 'api_key_id' },
  { series: 2, column: undefined },
] as const;

/** One of `SERIES`. @internal */
export type Series = (typeof SERIES)[number];

/**
 * Entries of a bucket, slightly more if some have the same `created_at`. A summary reads the rows
 * of at most two cut buckets: smaller buckets make it faster, larger ones make the rollups smaller.
 * Source: `npm run bench -- read`.
 */
export const BUCKET_ENTRIES = 128;
/** Buckets of one level that form one of the next. */
export const FAN_OUT = 32;
/** The highest level: each of its buckets has BUCKET_ENTRIES * FAN_OUT ** TOP_LEVEL entries. */
export const TOP_LEVEL = 4;

/**
 * True for late entries. This is the predicate of their index, so a query must repeat it exactly.
 * An index requires an immutable predicate, and PostgreSQL before 17 can't subtract infinite times.
 */
export const IS_LATE = `CASE WHEN created_at < '2000-01-01 00:00:00+00' THEN true
  WHEN created_at > '9999-01-01 00:00:00+00' THEN false
  ELSE written_at - created_at > interval '${LATE_MS / 1000} seconds' END`;

/**
 * Definition of the entries' BRIN index: a few bytes for 128 pages find a period without a user.
 */
export const BRIN_COLUMNS = 'USING brin (created_at) WITH (autosummarize = on)';
/** Definition of the index of late entries. */
export const LATE_COLUMNS = `(written_at, user_id) WHERE ${IS_LATE}`;

/** The dimensions of all rollups. @internal */
export const BUILT_IN_DIMENSIONS: readonly string[] = ['user_id', 'api_key_id', 'service_id'];

/** Names of the rollups' objects, quoted and qualified. @internal */
export interface RollupNames {
  readonly sqlRollups: string;
  readonly sqlState: string;
  readonly sqlMarks: string;
  readonly sqlBrin: string;
  readonly sqlLate: string;
  /** The function that returns a summary. */
  readonly sqlSummary: string;
}

/** @param connectionSchema as in `tableNames` @internal */
export function rollupNames(table: LedgerTable, connectionSchema?: string): RollupNames {
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

/** Dimensions in addition to the built-in ones; snake case. @internal */
export function declaredDimensions(table: LedgerTable): string[] {
  return (table.rollup || []).map(columnName);
}

/** All dimensions, unquoted. Direction is not one, because it has two sums. @internal */
export function dimensions(table: LedgerTable): string[] {
  return [...BUILT_IN_DIMENSIONS, ...declaredDimensions(table)];
}

/** Dimensions in the buckets of one series; its own column is their key. @internal */
export function seriesDimensions(table: LedgerTable, { column }: Series): string[] {
  // A summary of an API key counts the entries of all its users, and one of all entries needs
  // neither.
  const left = column === 'user_id' ? ['user_id'] : ['user_id', 'api_key_id'];
  return dimensions(table).filter((name) => !left.includes(name));
}

/**
 * Words of the rollups' SQL templates in addition to those of `templateValues`.
 *
 * @param connectionSchema as in `tableNames`
 * @internal
 */
export function rollupValues(table: LedgerTable, connectionSchema?: string): TemplateValues {
  return {
    ...templateValues(table, table.schema ?? connectionSchema),
    dims: columnList(dimensions(table)),
    isLate: IS_LATE,
    measures: MEASURES_OF_ENTRY,
  };
}

/**
 * Additional words for the templates of one series. NULL is the only key of the series of all
 * entries.
 */
export function seriesValues(table: LedgerTable, series: Series): TemplateValues {
  const { column } = series;
  const dims = seriesDimensions(table, series);
  return {
    series: String(series.series),
    key: column ?? `NULL::${table.ids}`,
    hasKey: column === undefined ? 'true' : `${column} IS NOT NULL`,
    isKey: column === undefined ? 'r.key IS NULL' : 'r.key = k.key',
    isOwn: column === undefined ? 'true' : `e.${column} = k.key`,
    seriesDims: columnList(dims),
    noDims: dims.map(() => 'NULL').join(', '),
  };
}

/** Fills a template whose words may also be times, which become parameters. @internal */
export function bindSql(
  template: string,
  values: TemplateValues,
  moments: TemplateValues,
): { readonly sql: string; readonly parameters: readonly string[] } {
  const used = Object.keys(moments).filter((word) => template.includes(`{${word}}`));
  const places = new Map(used.map((word, index) => [word, `$${index + 1}::timestamptz`]));
  const sql = fillTemplate(template, { ...values, ...Object.fromEntries(places) });
  return { sql, parameters: used.map((word) => moments[word]!) };
}
