import type { LedgerTable } from '../../entry/ledger-definition.js';
import {
  declaredDimensions,
  dimensions,
  IS_LATE,
  LEVELS,
  MEASURES_OF_ENTRY,
  rollupNames,
  TOTALS,
} from '../../migrations/rollup-tables.js';
import { quoteIdentifier, tableNames } from '../../migrations/table-names.js';
import type { ReadStatement } from '../read-rows.js';
import { rollupRange } from './rollup-range.js';

/** `column = value`, by which entries are chosen. */
export interface Filter {
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

/**
 * The same sums from one snapshot of rollups and rows. What rollups hold is said by two moments of
 * their state: entries created before the one and written at the other or earlier. All others are
 * read as rows: those of broken buckets at both ends, those created since, and late ones. Entries
 * that SQL changed after they were folded have left a mark with the difference.
 */
export function rollupSummary(
  table: LedgerTable,
  schema: string | undefined,
  filter: SummaryFilter,
): ReadStatement {
  const { sqlEntries } = tableNames(table, schema);
  const { sqlRollups, sqlMarks } = rollupNames(table, schema);
  const parameters = new Parameters();
  const conditions = filterSql(filter, parameters);
  const isTotal = !filter.filters.some(
    ({ column }) => column === 'user_id' || column === 'api_key_id',
  );
  const level = isTotal ? `g.level + ${TOTALS}` : 'g.level';
  const within = ['bucket >= g.q_lo', 'bucket < g.q_hi'];
  const created = (lo: string, hi: string) => [`created_at >= ${lo}`, `created_at < ${hi}`];
  const parts = [
    each(
      'buckets',
      sumsOf(sqlRollups, [
        ...[`level = ${level}`, 'bucket >= g.lo', 'bucket < g.hi'],
        ...conditions,
      ]),
    ),
    each('spans', sumsOfEntries(sqlEntries, [...conditions, ...created('g.lo', 'g.hi')])),
    each(
      '(SELECT * FROM flags WHERE has_q)',
      sumsOfEntries(sqlEntries, [
        ...[IS_LATE, 'written_at > g.t'],
        ...[...conditions, ...created('g.q_lo', 'g.q_hi')],
      ]),
    ),
    each(
      '(SELECT * FROM flags WHERE has_q)',
      sumsOf(sqlMarks, [...within, 'written_at <= g.t', ...conditions]),
    ),
  ];
  if (!filter.to) {
    // A half-open period without end has no place for a time that is infinite.
    parts.push(sumsOfEntries(sqlEntries, [...conditions, "created_at = 'infinity'"]));
  }
  const text = `${segmentsSql(table, schema, filter, parameters)}
    SELECT ${SUMS} FROM (${parts.join(' UNION ALL ')}) AS parts`;
  return { text, values: parameters.values };
}

/** Adds up per segment, so that each is a search of its own in an index. */
function each(source: string, sums: string): string {
  return `SELECT x.* FROM ${source} AS g CROSS JOIN LATERAL (${sums}) AS x`;
}

function sumsOf(source: string, conditions: readonly string[]): string {
  return `SELECT sum(consumed) AS consumed, sum(supplied) AS supplied, sum(entries) AS entries
    FROM ${source} WHERE ${conditions.join(' AND ')}`;
}

function sumsOfEntries(sqlEntries: string, conditions: readonly string[]): string {
  return `SELECT sum(consumed) AS consumed, sum(supplied) AS supplied, count(*) AS entries
    FROM (${entriesSql(sqlEntries, conditions)}) AS e`;
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

/** `buckets` (level, lo, hi) to read from rollups, `spans` (lo, hi) to read from rows, `flags`. */
function segmentsSql(
  table: LedgerTable,
  schema: string | undefined,
  { from, to }: SummaryFilter,
  parameters: Parameters,
): string {
  const { sqlState } = rollupNames(table, schema);
  const { sqlEntries } = tableNames(table, schema);
  const range = rollupRange(from, to);
  const moment = (text: string): string => parameters.add(text, 'timestamptz');
  const usable = [
    // Rollups know nothing of policies that hide rows from a role.
    `NOT row_security_active(${parameters.add(sqlEntries, 'text')})`,
    ...declaredDimensions(table).map(
      (name) => `${parameters.add(name, 'text')} = ANY (dimensions)`,
    ),
  ].join(' AND ');
  const state = (column: string): string =>
    `coalesce((SELECT ${column} FROM ${sqlState} WHERE ${usable}), '-infinity')`;
  const pair = ([lo, hi]: readonly [string, string], name: string, end: string): string =>
    `${moment(lo)} AS ${name}_lo, least(${moment(hi)}, ${end}) AS ${name}_hi`;
  const { quarter, day, month } = LEVELS;
  return `WITH covered AS MATERIALIZED (
      SELECT ${state('closed_before')} AS b, ${state('written_until')} AS t),
    bounds AS MATERIALIZED (
      SELECT t, ${moment(range.from)} AS p_lo, ${moment(range.to)} AS p_hi,
        ${pair(range.quarters, 'q', 'b')},
        ${pair(range.days, 'd', "date_trunc('day', b, 'UTC')")},
        ${pair(range.months, 'm', "date_trunc('month', b, 'UTC')")}
      FROM covered),
    flags AS MATERIALIZED (
      SELECT *, q_lo < q_hi AS has_q, d_lo < d_hi AS has_d, m_lo < m_hi AS has_m FROM bounds),
    buckets AS MATERIALIZED (
      SELECT s.* FROM flags CROSS JOIN LATERAL (VALUES
        (${month}, m_lo, m_hi),
        (${day}, d_lo, CASE WHEN has_m THEN m_lo ELSE d_hi END),
        (${day}, CASE WHEN has_m THEN m_hi ELSE d_hi END, d_hi),
        (${quarter}, q_lo, CASE WHEN has_d THEN d_lo ELSE q_hi END),
        (${quarter}, CASE WHEN has_d THEN d_hi ELSE q_hi END, q_hi)
      ) AS s (level, lo, hi) WHERE s.lo < s.hi),
    spans AS MATERIALIZED (
      SELECT s.* FROM flags CROSS JOIN LATERAL (VALUES
        (p_lo, CASE WHEN has_q THEN q_lo ELSE p_hi END),
        (CASE WHEN has_q THEN q_hi ELSE p_hi END, p_hi)
      ) AS s (lo, hi) WHERE s.lo < s.hi)`;
}
