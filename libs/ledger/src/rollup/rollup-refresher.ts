import { Deadline, DeadlineError } from '../clock/deadline.js';
import type { LedgerTable } from '../entry/ledger-definition.js';
import type { SessionLender } from '../postgres/session-lender.interface.js';
import type { PgSession } from '../postgres/pg-session.js';
import {
  LOCK_ROLLUPS,
  MIN_STEP_MS,
  OLD_REST_MS,
  QUERY_CANCELED,
  REFRESH_SIZES,
  refreshOnce,
} from './refresh-rollups.js';
import type { RefreshGoal, RefreshSizes, RefreshStep } from './refresh-rollups.js';
import { BUILT_IN_DIMENSIONS, dimensions, LATE_MS, rollupValues } from './rollup-layout.js';
import { CompleteUntil, NEVER, readStatus } from './rollup-status.js';
import type { RollupStatus } from './rollup-status.js';
import { inTransaction, RollupStatements } from './rollup-statements.js';
import { summarizeBrin } from './summarize-brin.js';

/** Dependencies of a refresher. @internal */
export interface RollupRefresherParts {
  readonly definition: LedgerTable;
  readonly connections: Pick<SessionLender, 'use'>;
  /** Time limit of one refresh in milliseconds, including its connection. Default: 60,000. */
  readonly timeoutMs?: number;
  /**
   * Milliseconds between the server's clock and the watermark. A transaction that has begun must
   * have had time to become visible, and the clock may be set back by less than this. Default:
   * 10,000.
   */
  readonly marginMs?: number;
  /**
   * Maximum milliseconds of `created_at` in the first steps. Default: derived from the table's
   * size.
   */
  readonly stepMs?: number;
  /**
   * All instances rest this multiple of a refresh's duration after it, to keep the effect on
   * writers small. Default: 3; if refreshes then fall behind, 1.
   */
  readonly restFactor?: number;
  /** Tests make many small buckets. Default: 128 entries, 32 buckets, 50,000 changes. */
  readonly sizes?: Partial<RefreshSizes>;
  /** Up to this many milliseconds a refresh first adds up slices of time. Default: 10 minutes. */
  readonly slicedMs?: number;
}

/**
 * The result of a refresh. `refreshed`: moved the watermark. `idle`: there was nothing to add.
 * `waiting`: running transactions may still write entries of the past. `busy`: another instance
 * refreshes. `resting`: the last refresh was recent. `paused`: the owner changes entries.
 * `other-dimensions`: the rollups lack some of the definition's. `hidden-rows`: row-level security
 * hides entries from this role. `no-indexes`: those of the entries are missing.
 *
 * @internal
 */
export type RefreshOutcome =
  | 'refreshed'
  | 'idle'
  | 'waiting'
  | 'busy'
  | 'resting'
  | 'paused'
  | 'other-dimensions'
  | 'hidden-rows'
  | 'no-indexes';

/** @internal */
export interface RefreshResult {
  readonly outcome: RefreshOutcome;
  /** True if another refresh would find work at once. */
  readonly isBehind: boolean;
  /** True if many entries were added below the watermark, or wait for the end of the rest. */
  readonly isBusy?: boolean;
}

const TIMEOUT_MS = 60_000;
const MARGIN_MS = 10_000;
const DAY_MS = 86_400_000;
const MAX_STEP_MS = 3_650 * DAY_MS;
/**
 * After a refresh shorter than this, in milliseconds, the next may add more, and after a longer one
 * less.
 */
const QUICK_MS = 5_000;
/** The same for old entries, which are not urgent, but must be processed within the time limit. */
const OLD_QUICK_MS = 20_000;
/**
 * If a refresh added more entries than this, the next is due sooner: a summary needs some
 * milliseconds to add up as many rows. For fewer, an early refresh would only create tables.
 */
const MANY_ENTRIES = 10_000;
const REST_FACTOR = 3;
/** Up to this many milliseconds a refresh first adds up slices of time. */
const SLICED_MS = 600_000;
/** SQLSTATEs: lock not available, serialization failure, deadlock. */
const BUSY = ['55P03', '40001', '40P01'];

/** Stops refreshes until a rebuild: summaries add up the rows, and entries may be changed. */
const PAUSE = ['UPDATE {rollupState} SET paused = true'];
/** The next refreshes make the rollups again from the rows. */
const EMPTY = [
  `UPDATE {rollupState}
SET closed_before = '-infinity', written_until = '-infinity', rests_until = '-infinity',
  retired_before = '-infinity', paused = false`,
  'DELETE FROM {rollupMarks}',
  'DELETE FROM {rollups}',
];

/**
 * Refreshes a ledger's rollups, one bounded transaction a call, so that a crash leaves no partial
 * work. Many instances may call it: one refreshes at a time.
 *
 * Two watermarks define the content of buckets: entries created before one of them and written
 * until the other.
 *
 * @internal
 */
export class RollupRefresher {
  readonly #parts: RollupRefresherParts;
  readonly #complete = new CompleteUntil();
  #stepMs: number | undefined;

  constructor(parts: RollupRefresherParts) {
    this.#parts = parts;
    this.#stepMs = parts.stepMs;
  }

  /**
   * Adds all entries that are complete.
   *
   * @throws an error of `pg`, DeadlineError, SinkTransientError or SinkHaltError; nothing is
   *   changed
   */
  async refresh(): Promise<RefreshResult> {
    const { definition, marginMs = MARGIN_MS } = this.#parts;
    return this.#withSession(async (session) => {
      const { schema } = session;
      const status = await readStatus(session, { definition, schema, marginMs });
      const obstacle = obstacleOf(status, definition);
      if (obstacle !== undefined) return { outcome: obstacle, isBehind: false };
      this.#complete.note(status);
      const writtenUntil = Math.max(status.writtenUntil, this.#complete.until);
      const target = Math.max(status.closedBefore, writtenUntil - LATE_MS);
      const hasMore = target > status.closedBefore || status.hasInvalidations;
      if (target === NEVER || !hasMore) return { outcome: 'waiting', isBehind: false };
      const { restFactor = REST_FACTOR } = this.#parts;
      if (status.rests && restFactor > 0) {
        return { outcome: 'resting', isBehind: false, isBusy: true };
      }
      // Another application's rollups may have more dimensions; then every refresh keeps them.
      const rollup = status.dimensions.filter((name) => !BUILT_IN_DIMENSIONS.includes(name));
      return this.#step(session, {
        definition: { ...definition, rollup },
        schema,
        target,
        writtenUntil,
        stepMs: this.#stepMs,
        timeoutMs: this.#parts.timeoutMs ?? TIMEOUT_MS,
        restFactor,
        slicedMs: this.#parts.slicedMs ?? SLICED_MS,
        sizes: { ...REFRESH_SIZES, ...this.#parts.sizes },
      });
    });
  }

  /**
   * Lets the owner change entries: from now on summaries add up the rows, and nothing is refreshed.
   *
   * @returns false if another process refreshes; nothing is changed then
   * @throws like `refresh`
   */
  pause(): Promise<boolean> {
    return this.#locked(PAUSE);
  }

  /**
   * Empties the rollups and ends a pause. From now on the table refuses changes again; the next
   * refreshes make the rollups again from the rows.
   *
   * @returns false if another process refreshes or changes entries; nothing is changed then
   * @throws like `refresh`
   */
  empty(): Promise<boolean> {
    return this.#locked(EMPTY);
  }

  /**
   * Runs statements while no other process refreshes, and no change of a paused table is under way.
   */
  #locked(statements: readonly string[]): Promise<boolean> {
    return this.#withSession(async (session) => {
      const values = rollupValues(this.#parts.definition, session.schema);
      const run = new RollupStatements(session, values);
      try {
        await inTransaction(session, session.deadline.remainingMs, async () => {
          for (const each of [...LOCK_ROLLUPS, ...statements]) await run.rows(each);
        });
        return true;
      } catch (error) {
        if (isBusy(error)) return false;
        throw error;
      }
    });
  }

  #withSession<T>(work: (session: PgSession) => Promise<T>): Promise<T> {
    const { connections, timeoutMs = TIMEOUT_MS } = this.#parts;
    return connections.use(new Deadline(timeoutMs), work);
  }

  async #step(session: PgSession, goal: RefreshGoal): Promise<RefreshResult> {
    const startedAt = performance.now();
    try {
      // Unsummarized pages are only slower, so an error does not matter.
      await summarizeBrin(session, goal).catch(() => undefined);
      const step = await refreshOnce(session, goal);
      if (this.#parts.stepMs === undefined) {
        this.#stepMs = nextStepMs(step, performance.now() - startedAt);
      }
      const { isIdle, isBehind, entries } = step;
      const outcome = isIdle ? 'idle' : 'refreshed';
      return { outcome, isBehind, isBusy: entries >= MANY_ENTRIES };
    } catch (error) {
      if (isBusy(error)) return { outcome: 'busy', isBehind: false };
      // Several statements together may exceed the limit although none alone does.
      const { code } = error as { code?: string };
      if (code === QUERY_CANCELED || error instanceof DeadlineError) {
        this.#stepMs = Math.max(MIN_STEP_MS, (this.#stepMs ?? DAY_MS) / 4);
      }
      throw error;
    }
  }
}

function obstacleOf(status: RollupStatus, definition: LedgerTable): RefreshOutcome | undefined {
  if (status.isPaused) return 'paused';
  if (!dimensions(definition).every((name) => status.dimensions.includes(name))) {
    return 'other-dimensions';
  }
  if (status.hidesRows) return 'hidden-rows';
  return status.hasIndexes ? undefined : 'no-indexes';
}

function isBusy(error: unknown): boolean {
  return BUSY.includes((error as { code?: string }).code ?? '');
}

/**
 * Bounds the step; otherwise a slow refresh would rest for long, and the next would have more to
 * add.
 */
function nextStepMs(step: RefreshStep, tookMs: number): number | undefined {
  const { stepMs, movedMs, entries, changes } = step;
  if (stepMs === undefined) return undefined;
  const quickMs = movedMs > OLD_REST_MS ? OLD_QUICK_MS : QUICK_MS;
  if (tookMs < quickMs) return Math.min(stepMs * 2, MAX_STEP_MS);
  // A shorter step would have no fewer changes.
  if (changes > entries) return stepMs;
  return Math.max(MIN_STEP_MS, Math.min(stepMs, (movedMs * quickMs) / tookMs));
}
