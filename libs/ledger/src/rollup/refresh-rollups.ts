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

/** How large buckets and refreshes are. @internal */
export interface RefreshSizes {
  readonly bucketEntries: number;
  readonly fanOut: number;
  /** Differences of what lies below the watermark that one refresh takes in. */
  readonly changes: number;
}

/** A change costs about 0.1 ms, so that a refresh of so many ends within some seconds. @internal */
export const REFRESH_SIZES: RefreshSizes = {
  bucketEntries: BUCKET_ENTRIES,
  fanOut: FAN_OUT,
  changes: 50_000,
};

/** How far one refresh is to come, and how; times in milliseconds since 1970. @internal */
export interface RefreshGoal {
  /** With the dimensions of the rollups. */
  readonly definition: LedgerTable;
  readonly schema: string | undefined;
  readonly target: number;
  readonly writtenUntil: number;
  /** Milliseconds of `created_at` at most; undefined: as the table's size suggests. */
  readonly stepMs: number | undefined;
  readonly timeoutMs: number;
  readonly restFactor: number;
  /** Milliseconds up to which a refresh adds up slices of time first. */
  readonly slicedMs: number;
  readonly sizes: RefreshSizes;
}

/** What one refresh did. @internal */
export interface RefreshStep {
  /** The goal is still ahead. */
  readonly isBehind: boolean;
  /** There was nothing to take in. */
  readonly isIdle: boolean;
  /** Entries that it took in above the watermark. */
  readonly entries: number;
  /** Moments and keys below the watermark with a difference. */
  readonly changes: number;
  /** Milliseconds of `created_at` that it was allowed to take in; undefined: as the goal said. */
  readonly stepMs: number | undefined;
  /** Milliseconds of `created_at` that it took in; infinite for the first. */
  readonly movedMs: number;
}

/** Milliseconds that a refresh moves the watermark at least. @internal */
export const MIN_STEP_MS = 5_000;
/**
 * Milliseconds behind above which a refresh first asks how dense entries are, which reads all of them,
 * and above which a refresh may take long. @internal
 */
export const OLD_REST_MS = 3_600_000;
/** SQLSTATE of a statement that met its time limit. @internal */
export const QUERY_CANCELED = '57014';
/**
 * Entries of the first step of an old table, about. Each step begins with the open buckets of all its
 * keys again, so few large ones end sooner than many small ones.
 */
const STEP_ROWS = 1_000_000;
/** Bytes of an entry in a table without statistics, rather too many. */
const ROW_BYTES = 250;
/** Milliseconds of a step if nobody has counted the entries yet. */
const MONTH_MS = 30 * 86_400_000;
/** Times as long as a refresh took that all rest where it falls behind: summaries read what it leaves. */
const BEHIND_REST_FACTOR = 1;
/** Of a refresh's time limit the part that looking for the first entry may take. */
const FIRST_SHARE = 0.3;
/** Where steps begin if that takes longer: a step without entries is quick, and the next twice as long. */
const LONG_AGO_MS = Date.UTC(2000);
/** Of these a refresh of few minutes has so many for each key. */
const SLICES = 8;
/** A bucket that late entries have filled so many times over is cut again. */
const OVERFULL_TIMES = 8;

/** The first moment of all entries, NULL without entries, and about how many there are. */
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

/** The same order as TRUNCATE and the guard's function: first the entries, then the state. @internal */
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
 * @throws an error of `pg` or DeadlineError; then nothing is changed
 * @internal
 */
export async function refreshOnce(session: PgSession, goal: RefreshGoal): Promise<RefreshStep> {
  const startedAt = performance.now();
  const run = new RollupStatements(session, valuesFor(goal));
  return inTransaction(session, goal.timeoutMs, async () => {
    for (const statement of LOCK_ROLLUPS) await run.rows(statement);
    // The snapshot is taken here, behind the lock: it sees what every earlier refresh has done.
    const [row] = await run.rows(READ_WATERMARKS);
    const [closed, written, retired] = [millis(row?.[0]), millis(row?.[1]), millis(row?.[2])];
    // A migration or the owner may have come between. The next status says so.
    const isAsExpected = row?.[3] === dimensions(goal.definition).join() && row[4] === 'false';
    if (!isAsExpected) return { ...NOTHING, isBehind: false, stepMs: goal.stepMs };
    // A copy of another database's buckets may lie there.
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

/** How far a refresh comes, and how far it would if it took everything in; of what step. */
async function reachOf(
  run: RollupStatements,
  goal: RefreshGoal,
  { closed, written }: { closed: number; written: number },
): Promise<{ before: number; target: number; until: number; stepMs: number }> {
  const until = Math.max(written, goal.writtenUntil);
  // What is created later than this and written after it would not count as late.
  const target = Math.max(closed, Math.min(goal.target, until - LATE_MS));
  const hasOldRest = closed === NEVER || goal.target - closed > OLD_REST_MS;
  // Emptied rollups have no beginning to go on from, whatever the step was before.
  const isFirst = closed === NEVER || (goal.stepMs === undefined && hasOldRest);
  const first = isFirst ? await firstStep(run, goal) : undefined;
  const stepMs = Math.max(MIN_STEP_MS, goal.stepMs ?? first?.stepMs ?? OLD_REST_MS);
  const start = closed === NEVER ? (first?.start ?? closed) : closed;
  const before = Math.max(closed, Math.min(target, start + stepMs));
  return { before, target, until, stepMs };
}

/** Milliseconds in which the table has about as many entries as one step should take in. */
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
  // The time limit of before comes back with it.
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

/** @param sliceMicros microseconds of a slice; undefined: entries are taken one by one */
async function takeIn(
  run: RollupStatements,
  definition: LedgerTable,
  moments: TemplateValues,
  sliceMicros: number | undefined,
): Promise<{ entries: number; changes: number; hasInvalidations: boolean }> {
  // The planner knows nothing of what was written since the last ANALYZE. It may want to read all entries
  // for those of a few seconds, one by one in the order of users, or to sort a million as if it were one.
  await run.without(['seqscan'], async () => {
    for (const statement of CREATE_TEMPORARY) await run.rows(statement);
    await run.rows(DROP_VOID_INVALIDATIONS, moments);
    await run.rows(NOTE_LATE_ENTRIES, moments);
    await run.rows(TAKE_INVALIDATIONS);
  });
  await run.without([...PLAIN_SCANS, 'sort', 'incremental_sort'], () =>
    // A slice may fill a bucket by itself, so only refreshes of few minutes have them.
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
