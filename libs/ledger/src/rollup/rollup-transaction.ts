import type { Deadline } from '../clock/deadline.js';
import type { PgSession } from '../postgres/pg-session.js';

/** All ways to read a table but those by bitmaps. @internal */
export const PLAIN_SCANS = ['seqscan', 'indexscan', 'indexonlyscan'] as const;
/** Sorting the entries of a large step in files takes twice as long. */
const WORK_MEM = '64MB';

/** One snapshot for all that is read; what the server is told lasts for the transaction. @internal */
export async function inTransaction<T>(
  session: PgSession,
  deadline: Deadline,
  work: () => Promise<T>,
): Promise<T> {
  const timeoutMs = Math.max(1, Math.floor(deadline.remainingMs * 0.9));
  return session.transaction(work, {
    isolation: 'REPEATABLE READ',
    timeoutMs,
    lockTimeoutMs: Math.min(timeoutMs, 1_000),
    settings: {
      idle_in_transaction_session_timeout: String(timeoutMs),
      synchronous_commit: 'on',
      work_mem: `'${WORK_MEM}'`,
      jit: 'off',
    },
  });
}

/** Does the work while the planner takes these ways only where there is no other. @internal */
export async function planWithout<T>(
  session: PgSession,
  ways: readonly ((typeof PLAIN_SCANS)[number] | 'sort' | 'incremental_sort')[],
  work: () => Promise<T>,
): Promise<T> {
  const names = ways.map((way) => `enable_${way}`);
  const off = names.map((name) => `current_setting('${name}'), set_config('${name}', 'off', true)`);
  const [row] = await session.texts(`SELECT ${off.join(', ')}`);
  const result = await work();
  const back = names.map((name, index) => `set_config('${name}', $${index + 1}, true)`);
  const values = names.map((_, index) => row?.[index * 2] ?? 'on');
  await session.texts(`SELECT ${back.join(', ')}`, values);
  return result;
}
