import type { LedgerTable } from '../../entry/ledger-definition.js';
import {
  dimensions,
  IS_LATE,
  LEVELS,
  MEASURES_OF_ENTRY,
  quarterSql,
  rollupNames,
  TOTALS,
} from '../../migrations/rollup-tables.js';
import { quoteIdentifier, tableNames } from '../../migrations/table-names.js';

/** The statements of one pass; each gives texts. @internal */
export interface RollupSql {
  /** Parameters: sqlEntries, margin in seconds. See `rollup-pass.ts` for the columns. */
  readonly look: string;
  /** The entries' first moment, in milliseconds since 1970; NULL without entries. */
  readonly first: string;
  readonly summarize: string;
  readonly lock: readonly string[];
  readonly readState: string;
  /** Parameters: closed_before and written_until before, then after. */
  readonly fold: string;
  /** Parameters: closed_before before and after. */
  readonly close: readonly string[];
  readonly clear: readonly string[];
}

/** @internal */
export function rollupSql(table: LedgerTable, schema: string | undefined): RollupSql {
  const { sqlEntries } = tableNames(table, schema);
  const { sqlRollups, sqlState, sqlMarks, sqlBrin } = rollupNames(table, schema);
  const columns = dimensions(table).map(quoteIdentifier);
  return {
    look: lookSql(sqlEntries, sqlState, sqlMarks),
    first: `SELECT ${millisSql('min(created_at)')} FROM ${sqlEntries} WHERE isfinite(created_at)`,
    summarize: `SELECT brin_summarize_new_values('${sqlBrin.replaceAll("'", "''")}')::text`,
    lock: [
      // In the order in which TRUNCATE and its trigger take them.
      `LOCK TABLE ${sqlEntries} IN ACCESS SHARE MODE`,
      `LOCK TABLE ${sqlState} IN EXCLUSIVE MODE NOWAIT`,
    ],
    readState: `SELECT ${millisSql('closed_before')}, ${millisSql('written_until')},
      array_to_string(dimensions, ',') FROM ${sqlState}`,
    fold: foldSql({ sqlEntries, sqlRollups, sqlState, sqlMarks, columns }),
    close: [
      closeSql(sqlRollups, columns, LEVELS.quarter, 'day'),
      closeSql(sqlRollups, columns, LEVELS.day, 'month'),
    ],
    clear: [
      `UPDATE ${sqlState} SET closed_before = '-infinity', written_until = '-infinity'`,
      `DELETE FROM ${sqlMarks}`,
      `DELETE FROM ${sqlRollups}`,
    ],
  };
}

function millisSql(column: string): string {
  return `(CASE WHEN isfinite(${column})
    THEN floor(extract(epoch FROM ${column}) * 1000)::bigint END)::text`;
}

/**
 * A transaction's `written_at` is its beginning, and it holds its own number until it has ended; the
 * numbers of VACUUM are left out, since it writes no entries. Source: how CREATE INDEX CONCURRENTLY
 * waits, in PostgreSQL's indexcmds.c; columns that every role sees, in pgstatfuncs.c.
 */
function lookSql(sqlEntries: string, sqlState: string, sqlMarks: string): string {
  return `SELECT ${millisSql('s.closed_before')}, ${millisSql('s.written_until')},
      array_to_string(s.dimensions, ','),
      ${millisSql("(now() - $2::text::double precision * interval '1 second')")},
      (SELECT coalesce(string_agg(l.virtualxid, ' '), '') FROM pg_catalog.pg_locks l
        WHERE l.locktype = 'virtualxid' AND l.granted AND l.mode = 'ExclusiveLock'
          AND l.pid <> pg_backend_pid()
          AND EXISTS (SELECT FROM pg_catalog.pg_stat_activity a
            WHERE a.pid = l.pid AND a.datid = (SELECT d.oid FROM pg_catalog.pg_database d
              WHERE d.datname = current_database()))
          AND NOT EXISTS (SELECT FROM pg_catalog.pg_stat_progress_vacuum v WHERE v.pid = l.pid)),
      (SELECT count(*)::text FROM pg_catalog.pg_prepared_xacts
        WHERE database = current_database()),
      EXISTS (SELECT FROM ${sqlMarks})::text,
      EXISTS (SELECT FROM ${sqlEntries}
        WHERE ${IS_LATE} AND written_at > s.written_until AND created_at < s.closed_before)::text,
      row_security_active($1::text)::text
    FROM ${sqlState} s`;
}

interface FoldNames {
  readonly sqlEntries: string;
  readonly sqlRollups: string;
  readonly sqlState: string;
  readonly sqlMarks: string;
  readonly columns: readonly string[];
}

function foldSql({ sqlEntries, sqlRollups, sqlState, sqlMarks, columns }: FoldNames): string {
  const [b0, t0, b1, t1] = ['$1', '$2', '$3', '$4'].map((place) => `${place}::timestamptz`);
  const list = columns.join(', ');
  const rows = `SELECT ${quarterSql('created_at')} AS bucket, ${list}, ${MEASURES_OF_ENTRY},
    1 AS entries FROM ${sqlEntries}`;
  const sums = 'sum(consumed) AS consumed, sum(supplied) AS supplied, sum(entries) AS entries';
  const insert = (level: number, bucket: string, source: string): string =>
    `INSERT INTO ${sqlRollups} (level, bucket, ${list}, consumed, supplied, entries)
     SELECT ${level} + ${TOTALS} * grouping(user_id), bucket, ${list}, ${sums}
     FROM (SELECT ${bucket} AS bucket, ${list}, consumed, supplied, entries FROM ${source}) AS x
     GROUP BY ${groupingSets(columns)}`;
  const truncated = (unit: string): string => `date_trunc('${unit}', bucket, 'UTC')`;
  const closed = (unit: string): string =>
    `delta WHERE bucket < date_trunc('${unit}', ${b0}, 'UTC')`;
  return `WITH gone AS (DELETE FROM ${sqlMarks} RETURNING *),
    fresh AS (${rows}
      WHERE created_at >= ${b0} AND created_at < ${b1} AND written_at <= ${t1}),
    delta AS MATERIALIZED (SELECT bucket, ${list}, ${sums} FROM (
      ${rows} WHERE ${IS_LATE}
        AND written_at > ${t0} AND written_at <= ${t1} AND created_at < ${b0}
      UNION ALL
      SELECT bucket, ${list}, consumed, supplied, entries FROM gone
      WHERE bucket < ${b0} AND written_at <= ${t0}) AS d GROUP BY bucket, ${list}),
    quarters AS (${insert(
      LEVELS.quarter,
      'bucket',
      '(SELECT * FROM fresh UNION ALL SELECT * FROM delta) AS q',
    )}),
    days AS (${insert(LEVELS.day, truncated('day'), closed('day'))}),
    months AS (${insert(LEVELS.month, truncated('month'), closed('month'))})
    UPDATE ${sqlState} SET closed_before = ${b1}, written_until = ${t1}`;
}

/** By all dimensions, and without user and key. The order is that of the index, for locality. */
function groupingSets(columns: readonly string[]): string {
  const totals = columns.filter((name) => name !== '"user_id"' && name !== '"api_key_id"');
  return `GROUPING SETS ((bucket, ${columns.join(', ')}), (bucket, ${totals.join(', ')}))`;
}

/** Adds up the buckets of one level that the next level's bucket is made of, once it is closed. */
function closeSql(
  sqlRollups: string,
  columns: readonly string[],
  level: number,
  unit: 'day' | 'month',
): string {
  const list = columns.join(', ');
  const moment = (place: string): string => `date_trunc('${unit}', ${place}::timestamptz, 'UTC')`;
  return `INSERT INTO ${sqlRollups} (level, bucket, ${list}, consumed, supplied, entries)
    SELECT level + 1, date_trunc('${unit}', bucket, 'UTC'), ${list},
      sum(consumed), sum(supplied), sum(entries)
    FROM ${sqlRollups}
    WHERE level IN (${level}, ${level + TOTALS})
      AND bucket >= ${moment('$1')} AND bucket < ${moment('$2')}
    GROUP BY level, date_trunc('${unit}', bucket, 'UTC'), ${list}`;
}
