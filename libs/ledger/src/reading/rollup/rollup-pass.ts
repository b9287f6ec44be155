import type { LedgerTable } from '../../entry/ledger-definition.js';
import { connectionSchema } from '../../migrations/ledger-migrations.js';
import { dimensions, LATE_MS, QUARTER_MS } from '../../migrations/rollup-tables.js';
import { tableNames } from '../../migrations/table-names.js';
import { Deadline } from '../../sink/postgres/deadline.js';
import type { PgConnections } from '../../sink/postgres/pg-connections.js';
import { PgSession } from '../pg-session.js';
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
}

/**
 * What a pass did. `folded`: moved on. `idle`: nothing to fold. `waiting`: transactions that may
 * still write entries of the past are running. `busy`: another instance is at it.
 * `other-dimensions`: the rollups are those of another definition. `hidden-rows`: row-level security
 * hides entries from this role, so it can't fold them.
 *
 * @internal
 */
export type PassOutcome =
  'folded' | 'idle' | 'waiting' | 'busy' | 'other-dimensions' | 'hidden-rows';

/** @internal */
export interface PassResult {
  readonly outcome: PassOutcome;
  /** True if another pass would find something to do at once. */
  readonly isBehind: boolean;
}

const TIMEOUT_MS = 60_000;
const MARGIN_MS = 10_000;
const DAY_MS = 86_400_000;
const MAX_STEP_MS = 3_650 * DAY_MS;
/** Milliseconds of one fold below which the next may take more in. */
const QUICK_MS = 2_000;
const NEVER = Number.NEGATIVE_INFINITY;
/** SQLSTATEs: lock not available, serialization failure, deadlock. */
const SOMEBODY_ELSE = ['55P03', '40001', '40P01'];
const QUERY_CANCELED = '57014';

/** What one look at the server found; times in milliseconds since 1970. */
interface Look {
  readonly closedBefore: number;
  readonly writtenUntil: number;
  readonly hasOwnDimensions: boolean;
  readonly moment: number;
  readonly running: ReadonlySet<string>;
  readonly hasPrepared: boolean;
  readonly hasMarks: boolean;
  readonly hasLate: boolean;
  readonly hidesRows: boolean;
}

/**
 * Moves a ledger's rollups on, one bounded transaction a call, so that a crash leaves nothing half
 * done. Many instances may call it: one folds at a time.
 *
 * What is folded is decided by data alone: entries created before one moment and written until
 * another. Until when entries are complete is found without a lock: every transaction that ran at a
 * moment has ended by a later call, so none can still write with a `written_at` of before.
 *
 * @internal
 */
export class RollupPass {
  readonly #parts: RollupPassParts;
  #noted: { readonly until: number; readonly running: ReadonlySet<string> } | undefined;
  /** No transaction is running that could write an entry with this `written_at` or an earlier one. */
  #settledUntil = NEVER;
  #stepMs: number;
  readonly #dimensions: string;

  constructor(parts: RollupPassParts) {
    this.#parts = parts;
    this.#dimensions = dimensions(parts.definition).join(',');
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
      const sql = rollupSql(definition, schema);
      const session = new PgSession(lease, deadline);
      const look = await this.#look(session, sql, tableNames(definition, schema).sqlEntries);
      if (!look.hasOwnDimensions) return { outcome: 'other-dimensions', isBehind: false };
      if (look.hidesRows) return { outcome: 'hidden-rows', isBehind: false };
      this.#note(look);
      const writtenUntil = Math.max(look.writtenUntil, this.#settledUntil);
      const target = Math.max(look.closedBefore, closedBy(writtenUntil));
      const hasLate = look.hasLate && writtenUntil > look.writtenUntil;
      if (target <= look.closedBefore && !look.hasMarks && !hasLate) {
        return { outcome: this.#noted ? 'waiting' : 'idle', isBehind: false };
      }
      return this.#foldGuarded(session, sql, { target, writtenUntil });
    });
  }

  /** Forgets all rollups; the passes that follow make them anew from the rows. */
  async clear(): Promise<void> {
    const { connections, definition, timeoutMs = TIMEOUT_MS } = this.#parts;
    const deadline = new Deadline(timeoutMs);
    await connections.use(deadline, async (lease) => {
      const sql = rollupSql(definition, connectionSchema(await connections.ready()));
      const session = new PgSession(lease, deadline);
      await inTransaction(session, deadline, async () => {
        for (const statement of [...sql.lock, ...sql.clear]) await session.rows(statement);
      });
    });
  }

  async #look(session: PgSession, sql: RollupSql, sqlEntries: string): Promise<Look> {
    const margin = String((this.#parts.marginMs ?? MARGIN_MS) / 1000);
    const [row] = await session.rows(sql.look, [sqlEntries, margin]);
    if (!row) throw new Error('the state of the rollups is missing');
    const [closed, written, found, moment, running, prepared, marks, late, hides] = row;
    return {
      closedBefore: millis(closed),
      writtenUntil: millis(written),
      hasOwnDimensions: found === this.#dimensions,
      moment: millis(moment),
      running: new Set((running ?? '').split(' ').filter(Boolean)),
      hasPrepared: prepared !== '0',
      hasMarks: marks === 'true',
      hasLate: late === 'true',
      hidesRows: hides === 'true',
    };
  }

  #note(look: Look): void {
    const noted = this.#noted;
    const hasEnded =
      noted !== undefined &&
      !look.hasPrepared &&
      [...noted.running].every((transaction) => !look.running.has(transaction));
    if (hasEnded) {
      this.#settledUntil = Math.max(this.#settledUntil, noted.until);
      this.#noted = undefined;
    }
    this.#noted ??= { until: look.moment, running: look.running };
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
      if (code === QUERY_CANCELED) this.#stepMs = Math.max(QUARTER_MS, this.#stepMs / 4);
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
      const moments = [closed, written, before, until].map(momentText);
      await session.rows(sql.fold, moments);
      for (const statement of sql.close) await session.rows(statement, [moments[0]!, moments[2]!]);
      return before < target;
    });
  }

  async #stepFrom(session: PgSession, sql: RollupSql, closed: number): Promise<number> {
    let start = closed;
    if (closed === NEVER) {
      const [row] = await session.rows(sql.first);
      if (row?.[0] == null) return Number.POSITIVE_INFINITY;
      start = millis(row[0]);
    }
    const step = Math.max(QUARTER_MS, this.#stepMs);
    return Math.floor((start + step) / QUARTER_MS) * QUARTER_MS;
  }
}

/** All entries created before this moment and written afterwards are late by more than `LATE_MS`. */
function closedBy(writtenUntil: number): number {
  return Math.floor((writtenUntil - LATE_MS) / QUARTER_MS) * QUARTER_MS;
}

function millis(text: string | null | undefined): number {
  return text == null ? NEVER : Number(text);
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
    const result = await work();
    await session.rows('COMMIT');
    return result;
  } catch (error) {
    // Of a connection that is lost the server rolls back by itself.
    await session.rows('ROLLBACK').catch(() => []);
    throw error;
  }
}
