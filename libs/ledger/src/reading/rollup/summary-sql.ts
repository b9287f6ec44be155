import type { LedgerTable } from '../../entry/ledger-definition.js';
import { summaryParameter } from '../../migrations/rollup-summary-function.js';
import { dimensions, MEASURES_OF_ENTRY, rollupNames } from '../../migrations/rollup-tables.js';
import { quoteIdentifier, tableNames } from '../../migrations/table-names.js';
import type { ReadStatement } from '../read-rows.js';

/** `column = value`, by which entries are chosen. */
export interface Filter {
  /** As an entry has it. */
  readonly field: string;
  /** Unquoted. */
  readonly column: string;
  readonly type: string;
  /** As PostgreSQL reads it. */
  readonly value: string;
}

/** Which entries are added up; checked. */
export interface SummaryFilter {
  readonly filters: readonly Filter[];
  readonly from: Date | undefined;
  readonly to: Date | undefined;
}

/** Collects parameters, each of which is cast where it stands. */
class Parameters {
  readonly values: string[] = [];

  add(value: string, type: string): string {
    this.values.push(value);
    return `$${this.values.length}::${type}`;
  }
}

const SUMS = `coalesce(sum(consumed), 0)::text, coalesce(sum(supplied), 0)::text,
  coalesce(sum(entries), 0)::text`;

/** True if rollups tell apart all that these filters ask for. */
export function canUseRollups(table: LedgerTable, { filters }: SummaryFilter): boolean {
  if (!table.rollup) return false;
  const known = dimensions(table);
  return filters.every(({ column }) => known.includes(column));
}

/** The plain SUM over the rows: consumed, supplied, entries. */
export function plainSummary(
  table: LedgerTable,
  schema: string | undefined,
  filter: SummaryFilter,
): ReadStatement {
  const parameters = new Parameters();
  const conditions = filterSql(filter, parameters);
  const { from, to } = filter;
  // Constants, not parameters: the planner compares them with the conditions of partial indexes.
  if (from) conditions.push(`created_at >= '${from.toISOString()}'::timestamptz`);
  if (to) conditions.push(`created_at < '${to.toISOString()}'::timestamptz`);
  const { sqlEntries } = tableNames(table, schema);
  const text = `SELECT ${SUMS} FROM (${entriesSql(sqlEntries, conditions)}) AS e`;
  return { text, values: parameters.values };
}

/** The same sums from one snapshot of rollups and rows, by the function that migrations define. */
export function rollupSummary(
  table: LedgerTable,
  schema: string | undefined,
  { filters, from, to }: SummaryFilter,
): ReadStatement {
  const parameters = new Parameters();
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

function entriesSql(sqlEntries: string, conditions: readonly string[]): string {
  const where = conditions.length > 0 ? ` WHERE ${conditions.join(' AND ')}` : '';
  return `SELECT ${MEASURES_OF_ENTRY}, 1 AS entries FROM ${sqlEntries}${where}`;
}

function filterSql({ filters }: SummaryFilter, parameters: Parameters): string[] {
  return filters.map(
    ({ column, type, value }) => `${quoteIdentifier(column)} = ${parameters.add(value, type)}`,
  );
}
