import type { TextRow } from '../postgres/pg-statement.js';
import { LATE_MS } from './rollup-tables.js';
import { Deadline } from '../clock/deadline.js';
import type { PgSession } from '../postgres/pg-session.js';
import type { FoldStatement } from './fold-sql.js';
import { millis, NEVER } from './rollup-look.js';
import type { RollupSql } from './rollup-sql.js';
import { inTransaction, PLAIN_SCANS, planWithout } from './rollup-transaction.js';

/** What one fold did. @internal */
export interface FoldStep {
  /** The goal is still ahead. */
  readonly isBehind: boolean;
  /** There was nothing to fold. */
  readonly isIdle: boolean;
  /** Entries that it took in, late ones left out. */
  readonly entries: number;
  /** Moments and keys of the past with a difference. */
  readonly changes: number;
  /** Milliseconds of `created_at` that it was allowed to take in; undefined: as the goal said. */
  readonly stepMs: number | undefined;
  /** Milliseconds of `created_at` that it took in; infinite for the first. */
  readonly movedMs: number;
}

/** How far a fold is to come, and how; times in milliseconds since 1970. @internal */
export interface FoldGoal {
  readonly target: number;
  readonly writtenUntil: number;
  /** As the state of the rollups must have them. */
  readonly dimensions: string;
  /** Milliseconds of `created_at` at most; undefined: as the table's size suggests. */
  readonly stepMs: number | undefined;
  readonly timeoutMs: number;
  readonly restFactor: number;
  readonly grainedMs: number;
}

/** Milliseconds that a fold moves on at least. @internal */
export const MIN_STEP_MS = 5_000;
/**
 * Entries of the first step of an old table, about. Each step begins with the open spans of all its
 * keys anew, so few large ones are done sooner than many small ones.
 */
const STEP_ROWS = 1_000_000;
/**
 * Milliseconds behind above which a fold first asks how dense entries are, which reads all of them,
 * and above which a fold may take long. @internal
 */
export const OLD_REST_MS = 3_600_000;
/** Milliseconds of a step if nobody has counted the entries yet. */
const MONTH_MS = 30 * 86_400_000;
/**
 * How many times as long as a fold took all instances rest where folds that rest for longer would take
 * in less than is written meanwhile: every summary reads the rest row by row.
 */
const BEHIND_REST_FACTOR = 1;
/** Of a fold's time limit the part that looking for the first entry may take. */
const FIRST_SHARE = 0.3;
/** Where steps begin if that takes longer: a fold without entries is quick, and the next twice as long. */
const LONG_AGO_MS = Date.UTC(2000);
/** Of these a fold of few minutes has so many for each key. */
const GRAINS = 8;
/** SQLSTATE of a statement that met its time limit. @internal */
export const QUERY_CANCELED = '57014';
/**
 * Takes one step towards the goal, in one transaction.
 *
 * @throws an error of `pg` or DeadlineError; then nothing is changed
 * @internal
 */
export async function foldOnce(
  session: PgSession,
  sql: RollupSql,
  goal: FoldGoal,
): Promise<FoldStep> {
  const startedAt = performance.now();
  return inTransaction(session, new Deadline(goal.timeoutMs), async () => {
    for (const statement of sql.lock) await session.texts(statement);
    // The snapshot is taken here, after the lock: it sees what every earlier pass has done.
    const [row] = await session.texts(sql.readState);
    const closed = millis(row?.[0]);
    const written = millis(row?.[1]);
    // A migration may have come between: the next look tells.
    if (row?.[2] !== goal.dimensions) {
      const nothing = { entries: 0, changes: 0, stepMs: goal.stepMs, movedMs: 0 };
      return { isBehind: false, isIdle: true, ...nothing };
    }
    if (closed === NEVER) await session.texts(sql.dropSpans);
    const reach = await reachOf(session, sql, { closed, written, goal });
    const { before, until, isCrowded, stepMs } = reach;
    const movedMs = before - closed;
    const isShort = closed !== NEVER && movedMs <= goal.grainedMs;
    const grainSeconds = Math.max(1, movedMs) / GRAINS / 1000;
    const parameters = [
      ...[closed, written, before, until].map(momentText),
      String(grainSeconds),
      momentText(millis(row[3])),
    ];
    const isIdle = isShort && !(await hasAnything(session, sql, parameters));
    const { entries, changes, hasMarks } = isIdle
      ? { entries: 0, changes: 0, hasMarks: false }
      : await runStatements(session, sql, parameters, { isShort, isCrowded });
    const cycleMs = (1 + goal.restFactor) * (performance.now() - startedAt);
    const isFallingBehind = before < reach.target && movedMs < cycleMs;
    const restFactor = isFallingBehind
      ? Math.min(goal.restFactor, BEHIND_REST_FACTOR)
      : goal.restFactor;
    await session.texts(sql.moveOn, [parameters[2]!, parameters[3]!, String(restFactor)]);
    const isBehind = before < goal.target || until < goal.writtenUntil || hasMarks;
    return { isBehind, isIdle, entries, changes, stepMs, movedMs };
  });
}

/**
 * How far one fold is to come, and how far it could come if it took everything in: milliseconds since
 * 1970; and of `created_at` that it may take in.
 */
async function reachOf(
  session: PgSession,
  sql: RollupSql,
  { closed, written, goal }: { closed: number; written: number; goal: FoldGoal },
): Promise<{
  before: number;
  target: number;
  until: number;
  isCrowded: boolean;
  stepMs: number;
}> {
  const { until, isCrowded } = await writtenUntil(session, sql, { written, goal });
  // What is created later than this and written after it would not be known for late.
  const target = Math.max(closed, Math.min(goal.target, until - LATE_MS));
  const hasOldRest = closed === NEVER || goal.target - closed > OLD_REST_MS;
  // Emptied rollups have no beginning to go on from, whatever the step was before.
  const isFirst = closed === NEVER || (goal.stepMs === undefined && hasOldRest);
  const first = isFirst ? await firstStep(session, sql, goal) : undefined;
  const stepMs = Math.max(MIN_STEP_MS, goal.stepMs ?? first?.stepMs ?? OLD_REST_MS);
  const start = closed === NEVER ? (first?.start ?? closed) : closed;
  const before = Math.max(closed, Math.min(target, start + stepMs));
  return { before, target, until, isCrowded, stepMs };
}

/**
 * As the goal says, or as far as late entries are no more than one fold's; and whether they are more
 * all the same, since one transaction wrote them.
 */
async function writtenUntil(
  session: PgSession,
  { fold: { lateUntil, lateEntries } }: RollupSql,
  { written, goal }: { written: number; goal: FoldGoal },
): Promise<{ until: number; isCrowded: boolean }> {
  const wanted = Math.max(written, goal.writtenUntil);
  // Nothing was folded, so nothing is late.
  if (written === NEVER) return { until: wanted, isCrowded: false };
  const momentOf = async (until: number, count: number): Promise<number | undefined> => {
    const values = [momentText(written), momentText(until), String(count)];
    // The planner takes a third of all entries for late ones, and might rather read and sort them.
    const look = (): Promise<TextRow[]> => session.texts(lateUntil, values);
    const [row] = await planWithout(session, ['seqscan'], look);
    return row && millis(row[0]);
  };
  const moment = await momentOf(wanted, lateEntries);
  if (moment === undefined) return { until: wanted, isCrowded: false };
  const until = Math.min(wanted, moment);
  return { until, isCrowded: (await momentOf(until, 2 * lateEntries)) !== undefined };
}

async function hasAnything(
  session: PgSession,
  { fold: { anything } }: RollupSql,
  parameters: readonly string[],
): Promise<boolean> {
  const values = anything.moments.map((place) => parameters[place]!);
  const look = (): Promise<TextRow[]> => session.texts(anything.sql, values);
  const [row] = await planWithout(session, PLAIN_SCANS, look);
  return row?.[0] === 'true';
}

async function runStatements(
  session: PgSession,
  { fold }: RollupSql,
  parameters: readonly string[],
  { isShort, isCrowded }: { isShort: boolean; isCrowded: boolean },
): Promise<{ entries: number; changes: number; hasMarks: boolean }> {
  const run = async (
    statements: readonly FoldStatement[],
    given: readonly string[] = parameters,
  ): Promise<void> => {
    for (const { sql, moments } of statements) {
      const values = moments.map((place) => given[place]!);
      await session.texts(sql, values);
    }
  };
  // Then no late entry is taken in, and marks are made of all of them once void ones are gone.
  const gathered = isCrowded ? parameters.with(3, parameters[1]!) : parameters;
  // What was written since the last ANALYZE is unknown to the planner: it may want to read all entries
  // for those of a few seconds, one by one in the order of users, or to sort a million as if it were one.
  await planWithout(session, ['seqscan'], async () => {
    await run(fold.gather, gathered);
    if (isCrowded) await run([fold.setAside]);
  });
  await planWithout(session, [...PLAIN_SCANS, 'sort', 'incremental_sort'], () =>
    // A grain may fill a span by itself, so only folds of few minutes have them.
    run([isShort ? fold.grains : fold.rows]),
  );
  const [found] = await session.texts(fold.found);
  const entries = Number(found?.[0] ?? 0);
  const hasFresh = entries > 0;
  const changes = Number(found?.[1] ?? 0);
  const hasChanges = changes > 0;
  if (hasChanges) await run(fold.change);
  if (hasFresh) await run(fold.cut);
  if (hasChanges) await run(fold.recut);
  if (hasFresh || hasChanges) await run(fold.join);
  return { entries, changes, hasMarks: found?.[2] === 'true' };
}

/** Milliseconds in which the table has about as many entries as one step should take in. */
async function firstStep(
  session: PgSession,
  sql: RollupSql,
  { target, timeoutMs }: FoldGoal,
): Promise<{ start: number; stepMs: number }> {
  await session.texts('SAVEPOINT first_step');
  await session.texts(`SET LOCAL statement_timeout = ${Math.ceil(timeoutMs * FIRST_SHARE)}`);
  const [row] = await session.texts(sql.first).catch(async (error: unknown) => {
    if ((error as { code?: unknown }).code !== QUERY_CANCELED) throw error;
    return [[String(LONG_AGO_MS), null]];
  });
  // The time limit of before comes back with it.
  await session.texts('ROLLBACK TO SAVEPOINT first_step');
  if (row?.[0] == null) return { start: target, stepMs: MIN_STEP_MS };
  const start = millis(row[0]);
  const rows = Number(row[1] ?? 0);
  const stepMs = rows > 0 ? ((target - start) * STEP_ROWS) / rows : MONTH_MS;
  return { start, stepMs: Math.max(MIN_STEP_MS, Math.ceil(stepMs)) };
}

function momentText(ms: number): string {
  return Number.isFinite(ms) ? new Date(ms).toISOString() : '-infinity';
}
