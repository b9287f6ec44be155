import type { LedgerTable } from '../entry/ledger-definition.js';
import {
  BUILT_IN_DIMENSIONS,
  dimensions,
  FAN_OUT,
  LATE_MS,
  SPAN_ENTRIES,
} from './rollup-tables.js';
import { tableNames } from '../postgres/table-names.js';
import { Deadline, DeadlineError } from '../clock/deadline.js';
import type { PgConnections } from '../postgres/pg-connections.js';
import type { PgSession } from '../postgres/pg-session.js';
import { foldOnce, MIN_STEP_MS, OLD_REST_MS, QUERY_CANCELED } from './rollup-fold.js';
import type { FoldStep } from './rollup-fold.js';
import { lookAt, NEVER, SettledUntil } from './rollup-look.js';
import type { FoldSizes } from './series-sql.js';
import { rollupSql } from './rollup-sql.js';
import type { RollupSql } from './rollup-sql.js';
import { inTransaction } from './rollup-transaction.js';

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
  /** Milliseconds of `created_at` that the first folds take in at most. Default: by the table's size. */
  readonly stepMs?: number;
  /**
   * How many times as long as a fold took all instances rest after it, so that writers hardly meet
   * it. Default: 3; where folds fall behind that way they rest once as long.
   */
  readonly restFactor?: number;
  /** Tests make many small spans. Default: 128 entries, 32 spans, 50,000 changes. */
  readonly sizes?: Partial<FoldSizes>;
  /** Milliseconds up to which a fold adds up short times first. Default: 10 minutes. */
  readonly grainedMs?: number;
}

/**
 * What a pass did. `folded`: moved on. `idle`: nothing to fold. `waiting`: transactions that may
 * still write entries of the past are running. `busy`: another instance is at it. `resting`: one was
 * not long ago. `other-dimensions`: the rollups lack some of the definition's. `hidden-rows`: row-level security
 * hides entries from this role, so it can't fold them. `no-indexes`: those of the entries are missing.
 *
 * @internal
 */
export type PassOutcome =
  | 'folded'
  | 'idle'
  | 'waiting'
  | 'busy'
  | 'resting'
  | 'other-dimensions'
  | 'hidden-rows'
  | 'no-indexes';

/** @internal */
export interface PassResult {
  readonly outcome: PassOutcome;
  /** True if another pass would find something to do at once. */
  readonly isBehind: boolean;
  /** True if many entries came into reach, or wait for the rest to end. */
  readonly isBusy?: boolean;
}

const TIMEOUT_MS = 60_000;
const MARGIN_MS = 10_000;
const DAY_MS = 86_400_000;
const MAX_STEP_MS = 3_650 * DAY_MS;
/** Milliseconds of one fold below which the next may take more in, and above which less. */
const QUICK_MS = 5_000;
/** The same for a fold of old entries: nobody waits for those, and it must end within its time limit. */
const OLD_QUICK_MS = 20_000;
/**
 * Entries of a fold above which the next is due sooner: row by row a read adds up as many in some
 * milliseconds. For fewer it would only make tables.
 */
const MANY_ENTRIES = 10_000;
/** A change costs a fold about 0.1 ms, so that one of so many ends within some seconds. */
const SIZES: FoldSizes = { spanEntries: SPAN_ENTRIES, fanOut: FAN_OUT, changes: 50_000 };
const REST_FACTOR = 3;
/** Milliseconds up to which a fold adds up short times first. */
const GRAINED_MS = 600_000;
/** SQLSTATEs: lock not available, serialization failure, deadlock. */
const SOMEBODY_ELSE = ['55P03', '40001', '40P01'];

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
  #stepMs: number | undefined;
  readonly #dimensions: readonly string[];
  readonly #restFactor: number;
  readonly #sizes: FoldSizes;

  constructor(parts: RollupPassParts) {
    this.#parts = parts;
    this.#dimensions = dimensions(parts.definition);
    this.#restFactor = parts.restFactor ?? REST_FACTOR;
    this.#sizes = { ...SIZES, ...parts.sizes };
    this.#stepMs = parts.stepMs;
  }

  /**
   * Looks, and folds what can be folded.
   *
   * @throws an error of `pg`, DeadlineError, SinkTransientError or SinkHaltError; nothing is changed
   */
  async run(): Promise<PassResult> {
    const { connections, definition, timeoutMs = TIMEOUT_MS } = this.#parts;
    const deadline = new Deadline(timeoutMs);
    return connections.use(deadline, async (session) => {
      const { schema } = session;
      const own = rollupSql(definition, schema, this.#sizes);
      const { sqlEntries } = tableNames(definition, schema);
      const look = await lookAt(session, own, sqlEntries, this.#parts.marginMs ?? MARGIN_MS);
      const found = look.dimensions.split(',');
      if (!this.#dimensions.every((name) => found.includes(name))) {
        return { outcome: 'other-dimensions', isBehind: false };
      }
      if (look.hidesRows) return { outcome: 'hidden-rows', isBehind: false };
      if (!look.hasIndexes) return { outcome: 'no-indexes', isBehind: false };
      this.#settled.note(look);
      const writtenUntil = Math.max(look.writtenUntil, this.#settled.until);
      const target = Math.max(look.closedBefore, writtenUntil - LATE_MS);
      const hasMore = look.hasMarks || (look.hasLate && writtenUntil > look.writtenUntil);
      if (target === NEVER || (target <= look.closedBefore && !hasMore)) {
        return { outcome: 'waiting', isBehind: false };
      }
      if (look.rests && this.#restFactor > 0) {
        return { outcome: 'resting', isBehind: false, isBusy: true };
      }
      // Another application's rollups may tell apart more; then so does every fold.
      const rollup = found.filter((name) => !BUILT_IN_DIMENSIONS.includes(name));
      const sql = rollupSql({ ...definition, rollup }, schema, this.#sizes);
      const goal = { target, writtenUntil, dimensions: look.dimensions };
      return this.#foldGuarded(session, sql, goal);
    });
  }

  /**
   * Forgets all rollups; the passes that follow make them anew from the rows.
   *
   * @returns false if another process is at them; nothing is changed then
   * @throws an error of `pg`, DeadlineError, SinkTransientError or SinkHaltError; nothing is changed
   */
  async clear(): Promise<boolean> {
    const { connections, definition, timeoutMs = TIMEOUT_MS } = this.#parts;
    const deadline = new Deadline(timeoutMs);
    return connections.use(deadline, async (session) => {
      const sql = rollupSql(definition, session.schema, this.#sizes);
      try {
        await inTransaction(session, deadline, async () => {
          for (const statement of [...sql.lock, ...sql.clear]) await session.texts(statement);
        });
      } catch (error) {
        if (isSomebodyElse(error)) return false;
        throw error;
      }
      return true;
    });
  }

  async #foldGuarded(
    session: PgSession,
    sql: RollupSql,
    goal: { target: number; writtenUntil: number; dimensions: string },
  ): Promise<PassResult> {
    const startedAt = performance.now();
    try {
      // While VACUUM is at a table it is left to that, and what is not summarized is only slower.
      await session.texts(sql.summarize).catch(() => []);
      const { timeoutMs = TIMEOUT_MS, grainedMs = GRAINED_MS } = this.#parts;
      const step = await foldOnce(session, sql, {
        ...goal,
        ...{ timeoutMs, grainedMs },
        ...{ stepMs: this.#stepMs, restFactor: this.#restFactor },
      });
      if (this.#parts.stepMs === undefined) {
        this.#stepMs = nextStepMs(step, performance.now() - startedAt);
      }
      const { isIdle, isBehind, entries } = step;
      return { outcome: isIdle ? 'idle' : 'folded', isBehind, isBusy: entries >= MANY_ENTRIES };
    } catch (error) {
      const { code } = error as { code?: string };
      if (isSomebodyElse(error)) return { outcome: 'busy', isBehind: false };
      // Several statements may take too long together without any of them doing so.
      if (code === QUERY_CANCELED || error instanceof DeadlineError)
        this.#stepMs = Math.max(MIN_STEP_MS, (this.#stepMs ?? DAY_MS) / 4);
      throw error;
    }
  }
}

function isSomebodyElse(error: unknown): boolean {
  return SOMEBODY_ELSE.includes((error as { code?: string }).code ?? '');
}

/** Without bounds a slow fold would rest for long, and so have the more to take in the next time. */
function nextStepMs(step: FoldStep, tookMs: number): number | undefined {
  const { stepMs, movedMs, entries, changes } = step;
  if (stepMs === undefined) return undefined;
  const quickMs = movedMs > OLD_REST_MS ? OLD_QUICK_MS : QUICK_MS;
  if (tookMs < quickMs) return Math.min(stepMs * 2, MAX_STEP_MS);
  // A shorter step would not have less of the past to change.
  if (changes > entries) return stepMs;
  return Math.max(MIN_STEP_MS, Math.min(stepMs, (movedMs * quickMs) / tookMs));
}
