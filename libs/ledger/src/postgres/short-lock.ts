import { realTimers } from '../clock/real-timers.js';
import type { PgSession } from './pg-session.js';
import { sqlStateOf } from './read-pg-error.js';

/**
 * Milliseconds that a change of the table waits for its lock. All later statements wait behind it,
 * so it gives up soon and retries; one batch rarely takes longer.
 */
const LOCK_TIMEOUT_MS = 200;
/** Maximum milliseconds between two attempts; the minimum is a fifth of it. */
const PAUSE_MS = 500;
/** Lock not available, deadlock detected. Source: PostgreSQL 18, appendix A. */
const LOCK_STATES = ['55P03', '40P01'];

/** Time limits for a change of the table. @internal */
export interface LockPatience {
  /** Milliseconds; default 60,000. */
  readonly withinMs?: number;
  /** Milliseconds that one attempt waits for the lock; default 200. */
  readonly lockTimeoutMs?: number;
  readonly signal?: AbortSignal | undefined;
}

/**
 * Runs `work` in a transaction that waits at most a fifth of a second for a lock, and retries after
 * a pause. Writers thus never wait longer than that behind it.
 *
 * @throws any error of `work`; the last refusal of the lock when the time is over
 * @internal
 */
export async function withShortLock<T>(
  session: PgSession,
  work: () => Promise<T>,
  patience: LockPatience = {},
): Promise<T> {
  const { withinMs = 60_000, lockTimeoutMs = LOCK_TIMEOUT_MS, signal } = patience;
  const end = performance.now() + withinMs;
  for (;;) {
    signal?.throwIfAborted();
    try {
      return await session.transaction(work, { lockTimeoutMs });
    } catch (error) {
      if (!isLockRefusal(error) || performance.now() > end) throw error;
    }
    await realTimers.pause(PAUSE_MS * (0.2 + 0.8 * Math.random()), undefined, { signal });
  }
}

/** True for the error of `withShortLock` when the time is over. @internal */
export function isLockRefusal(error: unknown): boolean {
  return LOCK_STATES.includes(sqlStateOf(error) ?? '');
}
