import { filterSql } from './filter-sql.js';
import { MEASURES_OF_ENTRY } from '../postgres/measures-sql.js';
import type { SummaryFilter } from '../ports/summary-filter.interface.js';
import { type ReadStatement, SqlParameters } from '../postgres/read-rows.js';
import { tableNames } from '../postgres/table-names.js';
import type { LedgerTable } from '../entry/ledger-definition.js';

const SUMS = `coalesce(sum(consumed), 0)::text, coalesce(sum(supplied), 0)::text,
  coalesce(sum(entries), 0)::text`;

/** The plain SUM over the rows: consumed, supplied, entries. */
export function plainSummary(
  table: LedgerTable,
  schema: string | undefined,
  filter: SummaryFilter,
): ReadStatement {
  const parameters = new SqlParameters();
  const conditions = filterSql(filter.filters, parameters);
  const { from, to } = filter;
  // Constants, not parameters: the planner compares them with the conditions of partial indexes.
  if (from) conditions.push(`created_at >= '${from.toISOString()}'::timestamptz`);
  if (to) conditions.push(`created_at < '${to.toISOString()}'::timestamptz`);
  const { sqlEntries } = tableNames(table, schema);
  const text = `SELECT ${SUMS} FROM (${entriesSql(sqlEntries, conditions)}) AS e`;
  return { text, values: parameters.values };
}

function entriesSql(sqlEntries: string, conditions: readonly string[]): string {
  const where = conditions.length > 0 ? ` WHERE ${conditions.join(' AND ')}` : '';
  return `SELECT ${MEASURES_OF_ENTRY}, 1 AS entries FROM ${sqlEntries}${where}`;
}
