import { createHash } from 'node:crypto';
import type { Deadline } from '../clock/deadline.js';
import type { PgConnections } from '../postgres/pg-connections.js';
import type { TableNames } from '../postgres/table-names.js';

/** Input of the lock. @internal */
export interface LockHolder {
  /** One connection holds the lock, another one works. */
  readonly connections: PgConnections;
  readonly deadline: Deadline;
  readonly key: bigint;
}

/** Runs `work` if the lock is free; undefined if another process holds it. @internal */
export async function withMigrationLock<T>(
  { connections, deadline, key }: LockHolder,
  work: () => Promise<T>,
): Promise<T | undefined> {
  return connections.use(deadline, async (session) => {
    // The lock's transaction is deliberately idle while the other connection works.
    await session.begin({ settings: { idle_in_transaction_session_timeout: '0' } });
    try {
      const sql = `SELECT pg_catalog.pg_try_advisory_xact_lock(${key})::text AS got`;
      const [row] = await session.rows<{ got: string }>(sql);
      return row?.got === 'true' ? await work() : undefined;
    } finally {
      // A lost connection ends its transaction and the lock.
      await session.rollback();
    }
  });
}

/**
 * A signed 64-bit number from schema and table; each database has its own locks.
 *
 * @param schema effective schema, including the first of the search path; null: none
 * @internal
 */
export function migrationLockKey(schema: string | null, { entries }: TableNames): bigint {
  const path = JSON.stringify([schema, entries]);
  return createHash('sha256').update(`nestjs-ledger:${path}`).digest().readBigInt64BE();
}
