import type { LedgerTable } from '../entry/ledger-definition.js';
import type { PgSession } from '../postgres/pg-session.js';
import { fillTemplate } from '../postgres/fill-template.js';
import { tableNames } from '../postgres/table-names.js';
import { rollupValues } from './rollup-layout.js';

/** Before all times. @internal */
export const NEVER = Number.NEGATIVE_INFINITY;

/**
 * The server's state of the rollups and their environment; times in milliseconds since 1970.
 *
 * @internal
 */
export interface RollupStatus {
  /** The watermarks: buckets contain entries created before the one and written until the other. */
  readonly closedBefore: number;
  readonly writtenUntil: number;
  /** Dimensions of the buckets. */
  readonly dimensions: readonly string[];
  /** The server's time minus the margin. */
  readonly moment: number;
  /** Transactions of other connections, in this database. */
  readonly running: ReadonlySet<string>;
  readonly hasPrepared: boolean;
  readonly hasInvalidations: boolean;
  /** Row-level security hides rows from this role. */
  readonly hidesRows: boolean;
  /** Both indexes of the entries exist and are valid. */
  readonly hasIndexes: boolean;
  /** The rest after the last refresh, in proportion to its duration, is not over. */
  readonly rests: boolean;
  /** The owner changes entries, until a rebuild. */
  readonly isPaused: boolean;
}

/**
 * A transaction's `written_at` is its start time, and it holds its own number until its end. VACUUM
 * writes no entries, and neither does an autovacuum worker, which alone has no user, also while it
 * analyzes or looks for tables. Source: the wait of CREATE INDEX CONCURRENTLY in PostgreSQL's
 * indexcmds.c; columns visible to every role, in pgstatfuncs.c; `st_userid` in backend_status.c.
 */
const READ_STATUS = `
SELECT {closedMs}, {writtenMs}, array_to_string(s.dimensions, ','),
  floor(extract(epoch FROM now() - $2::text::double precision * interval '1 second') * 1000)::bigint::text,
  (
    SELECT coalesce(string_agg(l.virtualxid, ' '), '')
    FROM pg_catalog.pg_locks l
    WHERE l.locktype = 'virtualxid' AND l.granted AND l.mode = 'ExclusiveLock'
      AND l.pid <> pg_backend_pid()
      AND EXISTS (
        SELECT FROM pg_catalog.pg_stat_activity a
        JOIN pg_catalog.pg_database d ON d.oid = a.datid AND d.datname = current_database()
        WHERE a.pid = l.pid AND a.usesysid IS NOT NULL
      )
      AND NOT EXISTS (SELECT FROM pg_catalog.pg_stat_progress_vacuum v WHERE v.pid = l.pid)
  ),
  (SELECT count(*) > 0 FROM pg_catalog.pg_prepared_xacts WHERE database = current_database())::text,
  EXISTS (SELECT FROM {rollupMarks})::text,
  row_security_active($1::text)::text,
  (
    SELECT count(*) = 2 FROM pg_catalog.pg_index i
    WHERE i.indisvalid AND i.indexrelid IN (to_regclass({createdBrin.text}), to_regclass({lateIndex.text}))
  )::text,
  (s.rests_until > clock_timestamp())::text,
  s.paused::text
FROM {rollupState} s`;

/** Milliseconds since 1970 of a time, as text; NULL if it is infinite. @internal */
export function millisSql(moment: string): string {
  return `(CASE WHEN isfinite(${moment})
    THEN floor(extract(epoch FROM ${moment}) * 1000)::bigint END)::text`;
}

/** @internal */
export function millis(text: string | null | undefined): number {
  return text == null ? NEVER : Number(text);
}

/** @throws like the session; 42P01 without rollups, 42703 before their migration @internal */
export async function readStatus(
  session: PgSession,
  {
    definition,
    schema,
    marginMs,
  }: {
    readonly definition: LedgerTable;
    readonly schema: string | undefined;
    readonly marginMs: number;
  },
): Promise<RollupStatus> {
  const values = {
    ...rollupValues(definition, schema),
    closedMs: millisSql('s.closed_before'),
    writtenMs: millisSql('s.written_until'),
  };
  const sql = fillTemplate(READ_STATUS, values);
  const [row] = await session.texts(sql, [
    tableNames(definition, schema).sqlEntries,
    String(marginMs / 1000),
  ]);
  if (!row) throw new Error('the state of the rollups has no row');
  const [closed, written, found, moment, running, prepared, marks, hides, indexes, rests, paused] =
    row;
  return {
    closedBefore: millis(closed),
    writtenUntil: millis(written),
    dimensions: (found ?? '').split(','),
    moment: millis(moment),
    running: new Set((running ?? '').split(' ').filter(Boolean)),
    hasPrepared: prepared === 'true',
    hasInvalidations: marks === 'true',
    hidesRows: hides === 'true',
    hasIndexes: indexes === 'true',
    rests: rests === 'true',
    isPaused: paused === 'true',
  };
}

/**
 * Finds until when entries are complete, without a lock. Once every transaction that ran at a time
 * has ended, none can still write an entry with an earlier `written_at`.
 *
 * @internal
 */
export class CompleteUntil {
  #noted: { readonly until: number; readonly running: ReadonlySet<string> } | undefined;
  #until = NEVER;

  /** Milliseconds since 1970; no running transaction can write an entry of this time or before. */
  get until(): number {
    return this.#until;
  }

  note({ moment, running, hasPrepared }: RollupStatus): void {
    const noted = this.#noted;
    const haveEnded =
      noted !== undefined &&
      !hasPrepared &&
      [...noted.running].every((transaction) => !running.has(transaction));
    if (haveEnded) {
      this.#until = Math.max(this.#until, noted.until);
      this.#noted = undefined;
    }
    this.#noted ??= { until: moment, running };
  }
}
