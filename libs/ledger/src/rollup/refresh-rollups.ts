import type { LedgerTable } from '../entry/ledger-definition.js';
import type { PgSession } from '../postgres/pg-session.js';
import {
  ADD_ENTRIES,
  APPLY_CHANGES,
  COUNT_TAKEN,
  CREATE_TEMPORARY,
  DROP_VOID_INVALIDATIONS,
  FIND_OVERFULL,
  HAS_ANYTHING,
  MAKE_LEVEL,
  NOTE_LATE_ENTRIES,
  RECUT_OVERFULL,
  TAKE_ENTRIES,
  TAKE_INVALIDATIONS,
  TAKE_SLICES,
} from './refresh-sql.js';
import {
  BUCKET_ENTRIES,
  dimensions,
  FAN_OUT,
  LATE_MS,
  rollupValues,
  SERIES,
  seriesValues,
  TOP_LEVEL,
} from './rollup-layout.js';
import type { TemplateValues } from './rollup-layout.js';
import { millis, millisSql, NEVER } from './rollup-status.js';
import { inTransaction, PLAIN_SCANS, RollupStatements } from './rollup-statements.js';

/** Sizes of buckets and refreshes. @internal */
export interface RefreshSizes {
  readonly bucketEntries: number;
  readonly fanOut: number;
  /** Maximum differences below the watermark in one refresh. */
  readonly changes: number;
}

/** A change costs about 0.1 ms, so a refresh with the maximum takes some seconds. @internal */
export const REFRESH_SIZES: RefreshSizes = {
  bucketEntries: BUCKET_ENTRIES,
  fanOut: FAN_OUT,
  changes: 50_000,
};

/** The target of one refresh, and its limits; times in milliseconds since 1970. @internal */
export interface RefreshGoal {
  /** With the dimensions of the rollups. */
  readonly definition: LedgerTable;
  readonly schema: string | undefined;
  readonly target: number;
  readonly writtenUntil: number;
  /** Maximum milliseconds of `created_at`; undefined: derived from the table's size. */
  readonly stepMs: number | undefined;
  readonly timeoutMs: number;
  readonly restFactor: number;
  /** Up to this many milliseconds a refresh first adds up slices of time. */
  readonly slicedMs: number;
  readonly sizes: RefreshSizes;
}

/** The result of one refresh. @internal */
export interface RefreshStep {
  /** The target is not reached yet. */
  readonly isBehind: boolean;
  /** There was nothing to add. */
  readonly isIdle: boolean;
  /** Added entries above the watermark. */
  readonly entries: number;
  /** Times and keys below the watermark with a difference. */
  readonly changes: number;
  /** Maximum milliseconds of `created_at` of this refresh; undefined: from the goal. */
  readonly stepMs: number | undefined;
  /** Milliseconds of `created_at` that it added; infinite for the first. */
  readonly movedMs: number;
}

/** Minimum milliseconds by which a refresh moves the watermark. @internal */
export const MIN_STEP_MS = 5_000;
/**
 * A refresh further behind than this, in milliseconds, first determines the density of entries,
 * which reads all of them, and may take long.
 *
 * @internal
 */
export const OLD_REST_MS = 3_600_000;
/** SQLSTATE of a statement that exceeded its time limit. @internal */
export const QUERY_CANCELED = '57014';
/**
 * Approximate entries of the first step for an old table. Each step starts again with the open
 * buckets of all its keys, so few large steps are faster than many small ones.
 */
const STEP_ROWS = 1_000_000;
/** Assumed bytes of an entry in a table without statistics, on the high side. */
const ROW_BYTES = 250;
/** Milliseconds of a step if the entries have not been counted yet. */
const MONTH_MS = 30 * 86_400_000;
/**
 * If a refresh is behind, all instances rest this multiple of its duration, because summaries read
 * the remaining rows.
 */
const BEHIND_REST_FACTOR = 1;
/** Share of a refresh's time limit for finding the first entry. */
const FIRST_SHARE = 0.3;
/**
 * Start of the steps if that takes longer: a step without entries is fast, and the next is twice as
 * long.
 */
const LONG_AGO_MS = Date.UTC(2000);
/** Slices for each key in a refresh of few minutes. */
const SLICES = 8;
/** A bucket that late entries have filled this many times over is cut again. */
const OVERFULL_TIMES = 8;

/** The time of the first entry, NULL without entries, and the approximate number of entries. */
const FIRST_ENTRY = `
SELECT {firstMs},
  (
    SELECT sum(greatest(c.reltuples, pg_catalog.pg_relation_size(c.oid) / ${ROW_BYTES}))::bigint::text
    FROM pg_catalog.pg_class c
    LEFT JOIN pg_catalog.pg_inherits i ON i.inhrelid = c.oid
    WHERE c.relkind = 'r'
      AND pg_catalog.to_regclass({entries.text}) IN (c.oid, i.inhparent)
  )
FROM {entries}
WHERE isfinite(created_at)`;

/**
 * The same order as in TRUNCATE and the guard's function: first the entries, then the state.
 *
 * @internal
 */
export const LOCK_ROLLUPS = [
  'LOCK TABLE {entries} IN ACCESS SHARE MODE',
  'LOCK TABLE {rollupState} IN EXCLUSIVE MODE NOWAIT',
] as const;

const READ_WATERMARKS = `
SELECT {closedMs}, {writtenMs}, {retiredMs}, array_to_string(s.dimensions, ','), s.paused::text
FROM {rollupState} s`;

const MOVE_WATERMARKS = `
UPDATE {rollupState}
SET closed_before = {before}, written_until = {until},
  rests_until = clock_timestamp() + {restFactor} * (clock_timestamp() - now())`;

/**
 * Takes one step towards the goal, in one transaction.
 *
 * @throws an error of `pg` or DeadlineError; nothing is changed then
 * @internal
 */
export async function refreshOnce(session: PgSession, goal: RefreshGoal): Promise<RefreshStep> {
  const startedAt = performance.now();
  const run = new RollupStatements(session, valuesFor(goal));
  return inTransaction(session, goal.timeoutMs, async () => {
    for (const statement of LOCK_ROLLUPS) await run.rows(statement);
    // The snapshot is taken after the lock, so it includes every earlier refresh.
    const [row] = await run.rows(READ_WATERMARKS);
    const [closed, written, retired] = [millis(row?.[0]), millis(row?.[1]), millis(row?.[2])];
    // A migration or the owner may have changed them in between. The next status reports it.
    const isAsExpected = row?.[3] === dimensions(goal.definition).join() && row[4] === 'false';
    if (!isAsExpected) return { ...NOTHING, isBehind: false, stepMs: goal.stepMs };
    // The table may contain a copy of another database's buckets.
    if (closed === NEVER) await run.rows('DELETE FROM {rollups}');
    const reach = await reachOf(run, goal, { closed, written });
    const { before, until, target, stepMs } = reach;
    const movedMs = before - closed;
    const moments = {
      closed: momentText(closed),
      written: momentText(written),
      retired: momentText(retired),
      before: momentText(before),
      until: momentText(until),
    };
    const isShort = closed !== NEVER && movedMs <= goal.slicedMs;
    const isIdle = isShort && !(await hasAnything(run, moments));
    const sliceMicros = (Math.max(1, movedMs) * 1_000) / SLICES;
    const taken = isIdle
      ? NOTHING
      : await takeIn(run, goal.definition, moments, isShort ? sliceMicros : undefined);
    const cycleMs = (1 + goal.restFactor) * (performance.now() - startedAt);
    const isFallingBehind = before < target && movedMs < cycleMs;
    const restFactor = isFallingBehind
      ? Math.min(goal.restFactor, BEHIND_REST_FACTOR)
      : goal.restFactor;
    await run.rows(MOVE_WATERMARKS, moments, { restFactor: String(restFactor) });
    const isBehind = before < goal.target || taken.hasInvalidations;
    const { entries, changes } = taken;
    return { isBehind, isIdle, entries, changes, stepMs, movedMs };
  });
}

const NOTHING = { isIdle: true, entries: 0, changes: 0, movedMs: 0, hasInvalidations: false };

function valuesFor({ definition, schema, sizes }: RefreshGoal): TemplateValues {
  return {
    ...rollupValues(definition, schema),
    firstMs: millisSql('min(created_at)'),
    closedMs: millisSql('s.closed_before'),
    writtenMs: millisSql('s.written_until'),
    retiredMs: millisSql('s.retired_before'),
    maxChanges: String(sizes.changes),
    bucketEntries: String(sizes.bucketEntries),
    overfullEntries: String(OVERFULL_TIMES * sizes.bucketEntries),
    fanOut: String(sizes.fanOut),
  };
}

/** The end of a refresh, the end without a limit, and its step. */
async function reachOf(
  run: RollupStatements,
  goal: RefreshGoal,
  { closed, written }: { closed: number; written: number },
): Promise<{ before: number; target: number; until: number; stepMs: number }> {
  const until = Math.max(written, goal.writtenUntil);
  // Entries created later than this and written after it would not count as late.
  const target = Math.max(closed, Math.min(goal.target, until - LATE_MS));
  const hasOldRest = closed === NEVER || goal.target - closed > OLD_REST_MS;
  // Emptied rollups have no start to continue from, for any previous step.
  const isFirst = closed === NEVER || (goal.stepMs === undefined && hasOldRest);
  const first = isFirst ? await firstStep(run, goal) : undefined;
  const stepMs = Math.max(MIN_STEP_MS, goal.stepMs ?? first?.stepMs ?? OLD_REST_MS);
  const start = closed === NEVER ? (first?.start ?? closed) : closed;
  const before = Math.max(closed, Math.min(target, start + stepMs));
  return { before, target, until, stepMs };
}

/** Milliseconds in which the table has about as many entries as one step should add. */
async function firstStep(
  run: RollupStatements,
  { target, timeoutMs }: RefreshGoal,
): Promise<{ start: number; stepMs: number }> {
  await run.rows('SAVEPOINT first_step');
  await run.rows(`SET LOCAL statement_timeout = ${Math.ceil(timeoutMs * FIRST_SHARE)}`);
  const [row] = await run.rows(FIRST_ENTRY).catch(async (error: unknown) => {
    if ((error as { code?: unknown }).code !== QUERY_CANCELED) throw error;
    return [[String(LONG_AGO_MS), null]];
  });
  // Restores the previous time limit too.
  await run.rows('ROLLBACK TO SAVEPOINT first_step');
  if (row?.[0] == null) return { start: target, stepMs: MIN_STEP_MS };
  const start = millis(row[0]);
  const rows = Number(row[1] ?? 0);
  const stepMs = rows > 0 ? ((target - start) * STEP_ROWS) / rows : MONTH_MS;
  return { start, stepMs: Math.max(MIN_STEP_MS, Math.ceil(stepMs)) };
}

async function hasAnything(run: RollupStatements, moments: TemplateValues): Promise<boolean> {
  const [row] = await run.without(PLAIN_SCANS, () => run.rows(HAS_ANYTHING, moments));
  return row?.[0] === 'true';
}

/** @param sliceMicros microseconds of a slice; undefined: entries are added one by one */
async function takeIn(
  run: RollupStatements,
  definition: LedgerTable,
  moments: TemplateValues,
  sliceMicros: number | undefined,
): Promise<{ entries: number; changes: number; hasInvalidations: boolean }> {
  // The planner knows nothing about rows written since the last ANALYZE. It may read all entries to
  // find those of a few seconds, one by one in the order of users, or sort a million as if it were
  // one.
  await run.without(['seqscan'], async () => {
    for (const statement of CREATE_TEMPORARY) await run.rows(statement);
    await run.rows(DROP_VOID_INVALIDATIONS, moments);
    await run.rows(NOTE_LATE_ENTRIES, moments);
    await run.rows(TAKE_INVALIDATIONS);
  });
  await run.without([...PLAIN_SCANS, 'sort', 'incremental_sort'], () =>
    // A single slice may fill a bucket, so only refreshes of few minutes use them.
    sliceMicros === undefined
      ? run.rows(TAKE_ENTRIES, moments)
      : run.rows(TAKE_SLICES, moments, { sliceMicros: String(sliceMicros) }),
  );
  const [found] = await run.rows(COUNT_TAKEN);
  const [entries, changes] = [Number(found?.[0] ?? 0), Number(found?.[1] ?? 0)];
  const series = SERIES.map((one) => seriesValues(definition, one));
  if (changes > 0) await applyChanges(run, series);
  if (entries > 0) for (const values of series) await run.rows(ADD_ENTRIES, moments, values);
  if (changes > 0) {
    for (const values of series) {
      await run.rows(FIND_OVERFULL, {}, values);
      await run.rows(RECUT_OVERFULL, moments, values);
    }
  }
  if (changes > 0 || entries > 0) {
    for (let level = 1; level <= TOP_LEVEL; level++) {
      for (const values of series) await run.rows(MAKE_LEVEL, {}, { ...values, level: `${level}` });
    }
  }
  return { entries, changes, hasInvalidations: found?.[2] === 'true' };
}

async function applyChanges(
  run: RollupStatements,
  series: readonly TemplateValues[],
): Promise<void> {
  for (const values of series) {
    for (let level = 0; level <= TOP_LEVEL; level++) {
      const join = level === 0 ? 'LEFT JOIN' : 'JOIN';
      await run.rows(APPLY_CHANGES, {}, { ...values, level: `${level}`, join });
    }
  }
}

function momentText(ms: number): string {
  return Number.isFinite(ms) ? new Date(ms).toISOString() : '-infinity';
}
