import { type ReadStatement, SqlParameters } from '../postgres/read-rows.js';
import type { SummaryFilter } from '../ports/summary-filter.interface.js';
import type { LedgerTable } from '../entry/ledger-definition.js';
import { summaryParameter } from './rollup-summary-function.js';
import { dimensions, rollupNames } from './rollup-tables.js';
import { tableNames } from '../postgres/table-names.js';

/** True if rollups tell apart all that these filters ask for. */
export function canUseRollups(table: LedgerTable, { filters }: SummaryFilter): boolean {
  if (!table.rollup) return false;
  const known = dimensions(table);
  return filters.every(({ column }) => known.includes(column));
}

/** The same sums from one snapshot of rollups and rows, by the function that migrations define. */
export function rollupSummary(
  table: LedgerTable,
  schema: string | undefined,
  { filters, from, to }: SummaryFilter,
): ReadStatement {
  const parameters = new SqlParameters();
  const { sqlEntries } = tableNames(table, schema);
  const given = [
    `p_entries => ${parameters.add(sqlEntries, 'regclass')}`,
    ...(from ? [`p_from => ${parameters.add(from.toISOString(), 'timestamptz')}`] : []),
    ...(to ? [`p_to => ${parameters.add(to.toISOString(), 'timestamptz')}`] : []),
    ...filters.map(
      ({ column, type, value }) => `${summaryParameter(column)} => ${parameters.add(value, type)}`,
    ),
  ];
  const { sqlSummary } = rollupNames(table, schema);
  // Naming the table locks it before the snapshot is taken: no partition is retired in between, and
  // no TRUNCATE, which snapshots know nothing of, comes between either. ONLY: no partition is opened.
  const text = `SELECT o_consumed::text, o_supplied::text, o_entries::text
    FROM ${sqlSummary}(${given.join(', ')})
    WHERE NOT EXISTS (SELECT FROM ONLY ${sqlEntries} WHERE false)`;
  return { text, values: parameters.values };
}
