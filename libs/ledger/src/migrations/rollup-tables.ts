import { NAME_ENDINGS } from '../entry/check-definition.js';
import { columnName } from '../entry/ledger-definition.js';
import type { LedgerTable } from '../entry/ledger-definition.js';
import { quoteIdentifier } from './table-names.js';

/**
 * Milliseconds between `created_at` and `written_at` above which an entry is late: the index of late
 * entries holds those alone. Entries are usually written within `flushMs`, so it is nearly empty.
 */
export const LATE_MS = 60_000;

/** Milliseconds of the finest buckets: every time zone of today is a multiple of them off UTC. */
export const QUARTER_MS = 900_000;

/** Sums by quarter of an hour, by day and by month, all in UTC. */
export const LEVELS = { quarter: 0, day: 1, month: 2 } as const;

/** Added to the level of a row that stands for all users and keys. */
export const TOTALS = 10;

/**
 * True for late entries; the index's predicate, so every query must repeat it letter by letter.
 * Immutable, as an index wants it, and safe for infinite times, which can't be subtracted before
 * PostgreSQL 17.
 */
export const IS_LATE = `CASE WHEN created_at < '2000-01-01 00:00:00+00' THEN true
  WHEN created_at > '9999-01-01 00:00:00+00' THEN false
  ELSE written_at - created_at > interval '${LATE_MS / 1000} seconds' END`;

/** Names of what the rollups consist of, quoted and qualified. @internal */
export interface RollupNames {
  readonly sqlRollups: string;
  readonly sqlState: string;
  readonly sqlMarks: string;
  readonly sqlBrin: string;
}

/** @param connectionSchema as in `tableNames` @internal */
export function rollupNames(table: LedgerTable, connectionSchema: string | undefined): RollupNames {
  const schema = table.schema ?? connectionSchema;
  const prefix = schema === undefined ? '' : `${quoteIdentifier(schema)}.`;
  const name = (ending: keyof typeof NAME_ENDINGS): string =>
    prefix + quoteIdentifier(table.table + NAME_ENDINGS[ending]);
  return {
    sqlRollups: name('rollups'),
    sqlState: name('rollupState'),
    sqlMarks: name('rollupMarks'),
    sqlBrin: name('createdBrin'),
  };
}

/** Columns that the definition's rollups tell apart beside the built-in ones; snake case. @internal */
export function declaredDimensions(table: LedgerTable): string[] {
  return (table.rollup || []).map(columnName);
}

/** All columns that rollups tell apart, unquoted; direction has two sums instead. @internal */
export function dimensions(table: LedgerTable): string[] {
  return ['user_id', 'api_key_id', 'service_id', ...declaredDimensions(table)];
}

/** Start of the quarter of an hour, in UTC; infinite for an infinite time. @internal */
export function quarterSql(column: string): string {
  const seconds = QUARTER_MS / 1000;
  return `to_timestamp(floor(date_part('epoch', ${column}) / ${seconds}) * ${seconds})`;
}

/** Both sums of one row of the entries, as a select list. @internal */
export const MEASURES_OF_ENTRY = ['consume', 'supply']
  .map((direction) => {
    const tokens = 'prompt_tokens::bigint + completion_tokens';
    const name = direction === 'consume' ? 'consumed' : 'supplied';
    return `CASE WHEN direction = '${direction}' THEN ${tokens} ELSE 0 END AS ${name}`;
  })
  .join(', ');
