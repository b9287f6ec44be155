import { literalSql } from '../postgres/quote-sql.js';
import type { LedgerTable } from '../entry/ledger-definition.js';
import { IS_LATE, rollupNames } from './rollup-tables.js';
import { tableNames } from '../postgres/table-names.js';
import { foldSql } from './fold-sql.js';
import type { FoldSql } from './fold-sql.js';
import type { FoldSizes } from './series-sql.js';

/** Bytes of an entry in a table that nobody has counted yet, rather too many. */
const ROW_BYTES = 250;

/**
 * Milliseconds that summarizing waits for its lock: the server cancels an autovacuum that somebody
 * waits for so long as `deadlock_timeout`, of 1 s.
 */
const SUMMARIZE_LOCK_MS = 50;

/** The statements of one pass; each gives texts. @internal */
export interface RollupSql {
  /** Parameters: sqlEntries, margin in seconds. See `rollup-look.ts` for the columns. */
  readonly look: string;
  /** The entries' first moment, in milliseconds since 1970, NULL without entries; about how many. */
  readonly first: string;
  /** Tells the index of `created_at`, or those of partitions, of new pages. */
  readonly summarize: string;
  readonly lock: readonly string[];
  readonly readState: string;
  /** For a state that says that nothing was folded: a copy of another database's rows may lie there. */
  readonly dropSpans: string;
  readonly fold: FoldSql;
  /** Parameters: closed_before and written_until, and the share of its own time to rest. */
  readonly moveOn: string;
  readonly clear: readonly string[];
}

/** @internal */
export function rollupSql(
  table: LedgerTable,
  schema: string | undefined,
  sizes: FoldSizes,
): RollupSql {
  const { sqlEntries } = tableNames(table, schema);
  const { sqlRollups, sqlState, sqlMarks, sqlBrin, sqlLate } = rollupNames(table, schema);
  return {
    look: lookSql(sqlEntries, sqlState, sqlMarks, [sqlBrin, sqlLate]),
    first: `SELECT ${millisSql('min(created_at)')},
      (SELECT sum(greatest(reltuples, pg_catalog.pg_relation_size(oid) / ${ROW_BYTES}))::bigint::text
        FROM pg_catalog.pg_class
        WHERE oid IN (${withPartitionsSql(sqlEntries)}) AND relkind = 'r')
      FROM ${sqlEntries} WHERE isfinite(created_at)`,
    summarize: summarizeSql(sqlBrin),
    lock: [
      // In the order in which TRUNCATE and its trigger take them.
      `LOCK TABLE ${sqlEntries} IN ACCESS SHARE MODE`,
      `LOCK TABLE ${sqlState} IN EXCLUSIVE MODE NOWAIT`,
    ],
    readState: `SELECT ${millisSql('closed_before')}, ${millisSql('written_until')},
      array_to_string(dimensions, ','), ${millisSql('retired_before')} FROM ${sqlState}`,
    dropSpans: `DELETE FROM ${sqlRollups}`,
    fold: foldSql(table, schema, sizes),
    moveOn: `UPDATE ${sqlState} SET closed_before = $1::timestamptz, written_until = $2::timestamptz,
      rests_until = clock_timestamp() + $3::text::double precision * (clock_timestamp() - now())`,
    clear: [
      `UPDATE ${sqlState} SET closed_before = '-infinity', written_until = '-infinity',
        rests_until = '-infinity', retired_before = '-infinity'`,
      `DELETE FROM ${sqlMarks}`,
      `DELETE FROM ${sqlRollups}`,
    ],
  };
}

/**
 * Newest partition first; without those that would have to wait, also behind somebody who waits, or
 * that are another role's: each would be an error, and end the statement. `lock_timeout` is for what
 * comes between the look at the locks and the lock; what was summarized before it stays. Sources:
 * brin_summarize_range in PostgreSQL's brin.c; table 13.2, conflicts of SHARE UPDATE EXCLUSIVE.
 */
function summarizeSql(sqlBrin: string): string {
  return `WITH patience AS MATERIALIZED (
      SELECT set_config('lock_timeout', '${SUMMARIZE_LOCK_MS}', true) AS ms
    ), held AS MATERIALIZED (
      SELECT relation FROM pg_catalog.pg_locks
      WHERE locktype = 'relation' AND pid IS DISTINCT FROM pg_backend_pid()
        AND database = (SELECT oid FROM pg_catalog.pg_database WHERE datname = current_database())
        AND mode IN ('ShareUpdateExclusiveLock', 'ShareLock', 'ShareRowExclusiveLock',
          'ExclusiveLock', 'AccessExclusiveLock')
    ), free AS MATERIALIZED (
      SELECT i.indexrelid, i.indrelid
      FROM patience, pg_catalog.pg_index i JOIN pg_catalog.pg_class c ON c.oid = i.indexrelid
      WHERE ms IS NOT NULL AND c.relkind = 'i' AND pg_has_role(c.relowner, 'USAGE')
        AND i.indexrelid IN (${withPartitionsSql(sqlBrin)})
        AND NOT EXISTS (SELECT FROM held WHERE relation IN (i.indexrelid, i.indrelid))
    )
    SELECT sum(brin_summarize_new_values(indexrelid))::text FROM (
      SELECT indexrelid FROM free JOIN pg_catalog.pg_class t ON t.oid = indrelid
      ORDER BY substring(pg_get_expr(t.relpartbound, t.oid) FROM ' TO (.*)') COLLATE "C"
        DESC NULLS LAST
    ) newest`;
}

/** The table or index and its partitions; a partitioned one has no rows of its own. */
function withPartitionsSql(name: string): string {
  const self = `pg_catalog.to_regclass(${literalSql(name)})`;
  return `SELECT ${self} UNION ALL SELECT inhrelid FROM pg_catalog.pg_inherits WHERE inhparent = ${self}`;
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
function lookSql(
  sqlEntries: string,
  sqlState: string,
  sqlMarks: string,
  indexes: readonly string[],
): string {
  const wanted = indexes.map((name) => `to_regclass(${literalSql(name)})`).join(', ');
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
      -- EXISTS would be planned as if a third of all entries were late: it would read the table.
      ((SELECT true FROM ${sqlEntries}
        WHERE ${IS_LATE} AND written_at > s.written_until AND created_at < s.closed_before
        ORDER BY written_at LIMIT 1) IS NOT NULL)::text,
      row_security_active($1::text)::text, (s.rests_until > clock_timestamp())::text,
      (SELECT (count(*) = ${indexes.length})::text FROM pg_catalog.pg_index i
        WHERE i.indisvalid AND i.indexrelid IN (${wanted}))
    FROM ${sqlState} s`;
}
