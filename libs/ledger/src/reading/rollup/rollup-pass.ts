import type { LedgerTable } from '../../entry/ledger-definition.js';
import { connectionSchema } from '../../migrations/ledger-migrations.js';
import { dimensions, FAN_OUT, LATE_MS, SPAN_ENTRIES } from '../../migrations/rollup-tables.js';
import { tableNames } from '../../migrations/table-names.js';
import { Deadline } from '../../sink/postgres/deadline.js';
import type { PgConnections } from '../../sink/postgres/pg-connections.js';
import { PgSession } from '../pg-session.js';
import { lookAt, millis, NEVER, SettledUntil } from './rollup-look.js';
import type { FoldStatement } from './fold-sql.js';
import type { SpanSizes } from './series-sql.js';
import { rollupSql } from './rollup-sql.js';
import type { RollupSql } from './rollup-sql.js';

/** What a pass works with. @internal */
export interface RollupPassParts {
  readonly definition: LedgerTable;
  readonly connections: PgConnections;
  /** Milliseconds that one pass may take, its connection included. Default: 60,000. */
  readonly timeoutMs?: number;
  /**
   * Milliseconds that are left between the server's clock and what may be folded: a transaction
   * that has begun must have had time to be seen, and the clock may be set back by less than this.
   * Default: 10,000.
   */
  readonly marginMs?: number;
  /** Milliseconds of `created_at` that the first folds take in at most. Default: 30 days. */
  readonly stepMs?: number;
  /**
   * How many times as long as a fold took all instances rest after it, so that writers hardly meet
   * it. Default: 9.
   */
  readonly restFactor?: number;
  /** Tests make many small spans. Default: 128 entries, 32 spans. */
  readonly spans?: SpanSizes;
}

/**
 * What a pass did. `folded`: moved on. `idle`: nothing to fold. `waiting`: transactions that may
 * still write entries of the past are running. `busy`: another instance is at it.
 * `resting`: one was
 * not long ago. `other-dimensions`: the rollups are those of another definition. `hidden-rows`: row-level security
 * hides entries from this role, so it can't fold them.
 *
 * @internal
 */
export type PassOutcome =
  'folded' | 'idle' | 'waiting' | 'busy' | 'resting' | 'other-dimensions' | 'hidden-rows';

/** @internal */
export interface PassResult {
  readonly outcome: PassOutcome;
  /** True if another pass would find something to do at once. */
  readonly isBehind: boolean;
}

const TIMEOUT_MS = 60_000;
/** Sorting the entries of a large step in files takes twice as long. */
const WORK_MEM = '64MB';
const MARGIN_MS = 10_000;
const DAY_MS = 86_400_000;
const MAX_STEP_MS = 3_650 * DAY_MS;
/** Milliseconds of one fold below which the next may take more in. */
const QUICK_MS = 5_000;
/** Milliseconds that a fold moves on at least. */
const MIN_STEP_MS = 60_000;
const REST_FACTOR = 9;
/** SQLSTATEs: lock not available, serialization failure, deadlock. */
const SOMEBODY_ELSE = ['55P03', '40001', '40P01'];
const QUERY_CANCELED = '57014';

/**
 * Moves a ledger's rollups on, one bounded transaction a call, so that a crash leaves nothing half
 * done. Many instances may call it: one folds at a time.
 *
 * What is folded is decided by data alone: entries created before one moment and written until
 * another.
 *
 * @internal
 */
export class RollupPass {
  readonly #parts: RollupPassParts;
  readonly #settled = new SettledUntil();
  #stepMs: number;
  readonly #dimensions: string;
  readonly #restFactor: number;
  readonly #spans: SpanSizes;

  constructor(parts: RollupPassParts) {
    this.#parts = parts;
    this.#dimensions = dimensions(parts.definition).join(',');
    this.#restFactor = parts.restFactor ?? REST_FACTOR;
    this.#spans = parts.spans ?? { spanEntries: SPAN_ENTRIES, fanOut: FAN_OUT };
    this.#stepMs = parts.stepMs ?? 30 * DAY_MS;
  }

  /**
   * Looks, and folds what can be folded.
   *
   * @throws an error of `pg`, DeadlineError, SinkTransientError or SinkHaltError; nothing is changed
   */
  async run(): Promise<PassResult> {
    const { connections, definition, timeoutMs = TIMEOUT_MS } = this.#parts;
    const deadline = new Deadline(timeoutMs);
    return connections.use(deadline, async (lease) => {
      const schema = connectionSchema(await connections.ready());
      const sql = rollupSql(definition, schema, this.#spans);
      const session = new PgSession(lease, deadline);
      const { sqlEntries } = tableNames(definition, schema);
      const look = await lookAt(session, sql, sqlEntries, this.#parts.marginMs ?? MARGIN_MS);
      if (look.dimensions !== this.#dimensions) {
        return { outcome: 'other-dimensions', isBehind: false };
      }
      if (look.hidesRows) return { outcome: 'hidden-rows', isBehind: false };
      this.#settled.note(look);
      const writtenUntil = Math.max(look.writtenUntil, this.#settled.until);
      const target = Math.max(look.closedBefore, writtenUntil - LATE_MS);
      const hasMore = look.hasMarks || (look.hasLate && writtenUntil > look.writtenUntil);
      if (target <= look.closedBefore && !hasMore) {
        return { outcome: 'waiting', isBehind: false };
      }
      if (look.rests && this.#restFactor > 0) return { outcome: 'resting', isBehind: false };
      return this.#foldGuarded(session, sql, { target, writtenUntil });
    });
  }

  /** Forgets all rollups; the passes that follow make them anew from the rows. */
  async clear(): Promise<void> {
    const { connections, definition, timeoutMs = TIMEOUT_MS } = this.#parts;
    const deadline = new Deadline(timeoutMs);
    await connections.use(deadline, async (lease) => {
      const sql = rollupSql(definition, connectionSchema(await connections.ready()), this.#spans);
      const session = new PgSession(lease, deadline);
      await inTransaction(session, deadline, async () => {
        for (const statement of [...sql.lock, ...sql.clear]) await session.rows(statement);
      });
    });
  }

  async #foldGuarded(
    session: PgSession,
    sql: RollupSql,
    goal: { target: number; writtenUntil: number },
  ): Promise<PassResult> {
    const startedAt = performance.now();
    try {
      // Only the table's owner may; for the rest it is done by VACUUM.
      await session.rows(sql.summarize).catch(() => []);
      const isBehind = await this.#fold(session, sql, goal);
      const isQuick = performance.now() - startedAt < QUICK_MS;
      if (isQuick && this.#parts.stepMs === undefined) {
        this.#stepMs = Math.min(this.#stepMs * 2, MAX_STEP_MS);
      }
      return { outcome: 'folded', isBehind };
    } catch (error) {
      const { code } = error as { code?: string };
      if (code !== undefined && SOMEBODY_ELSE.includes(code)) {
        return { outcome: 'busy', isBehind: false };
      }
      if (code === QUERY_CANCELED) this.#stepMs = Math.max(MIN_STEP_MS, this.#stepMs / 4);
      throw error;
    }
  }

  /** @returns whether the goal is still ahead */
  async #fold(
    session: PgSession,
    sql: RollupSql,
    { target, writtenUntil }: { target: number; writtenUntil: number },
  ): Promise<boolean> {
    const { timeoutMs = TIMEOUT_MS } = this.#parts;
    return inTransaction(session, new Deadline(timeoutMs), async () => {
      for (const statement of sql.lock) await session.rows(statement);
      // The snapshot is taken here, after the lock: it sees what every earlier pass has done.
      const [row] = await session.rows(sql.readState);
      const closed = millis(row?.[0]);
      const written = millis(row?.[1]);
      // A migration may have come between: the next look tells.
      if (row?.[2] !== this.#dimensions) return false;
      const until = Math.max(written, writtenUntil);
      const before = Math.max(closed, Math.min(target, await this.#stepFrom(session, sql, closed)));
      await this.#foldStep(session, sql, [closed, written, before, until].map(momentText));
      return before < target;
    });
  }

  async #foldStep(
    session: PgSession,
    { fold, moveOn }: RollupSql,
    moments: readonly string[],
  ): Promise<void> {
    const run = async (statements: readonly FoldStatement[]): Promise<void> => {
      for (const { sql, moments: places } of statements) {
        await session.rows(
          sql,
          places.map((place) => moments[place]!),
        );
      }
    };
    await run(fold.gather);
    const [found] = await session.rows(fold.found);
    const [hasFresh, hasChanges] = (found ?? []).map((each) => each === 'true');
    if (hasChanges) await run(fold.change);
    if (hasFresh) await run(fold.cut);
    if (hasChanges) await run(fold.recut);
    if (hasFresh || hasChanges) await run(fold.join);
    await session.rows(moveOn, [moments[2]!, moments[3]!, String(this.#restFactor)]);
  }

  async #stepFrom(session: PgSession, sql: RollupSql, closed: number): Promise<number> {
    let start = closed;
    if (closed === NEVER) {
      const [row] = await session.rows(sql.first);
      if (row?.[0] == null) return Number.POSITIVE_INFINITY;
      start = millis(row[0]);
    }
    return start + Math.max(MIN_STEP_MS, this.#stepMs);
  }
}

function momentText(ms: number): string {
  return Number.isFinite(ms) ? new Date(ms).toISOString() : '-infinity';
}

/** One snapshot for all that is read; what the server is told lasts for the transaction. */
async function inTransaction<T>(
  session: PgSession,
  deadline: Deadline,
  work: () => Promise<T>,
): Promise<T> {
  await session.rows('BEGIN ISOLATION LEVEL REPEATABLE READ');
  try {
    const ms = Math.max(1, Math.floor(deadline.remainingMs * 0.9));
    await session.rows(`SET LOCAL lock_timeout = ${Math.min(ms, 1_000)}`);
    await session.rows(`SET LOCAL statement_timeout = ${ms}`);
    await session.rows(`SET LOCAL idle_in_transaction_session_timeout = ${ms}`);
    await session.rows('SET LOCAL synchronous_commit = on');
    await session.rows(`SET LOCAL work_mem = '${WORK_MEM}'`);
    await session.rows('SET LOCAL jit = off');
    const result = await work();
    await session.rows('COMMIT');
    return result;
  } catch (error) {
    // Of a connection that is lost the server rolls back by itself.
    await session.rows('ROLLBACK').catch(() => []);
    throw error;
  }
}
