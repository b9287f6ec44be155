import { columnList, literalSql } from '../postgres/quote-sql.js';
import type { RetiredPartition } from '../ports/ledger-retention.interface.js';
import type { PgSession } from '../postgres/pg-session.js';
import { storedColumns, tryPartitionLock } from './create-partitions.js';
import { listPartitions, type FoundPartition } from './list-partitions.js';
import { momentSql, relationOf, type TablePath } from './partition-sql.js';
import type { RetirementHooks } from '../postgres/retirement-hooks.interface.js';
import { dropTriggers, withoutTriggers } from './partition-triggers.js';
import { sqlStateOf } from '../postgres/read-pg-error.js';
import { isLockRefusal, withShortLock, type LockPatience } from '../postgres/short-lock.js';

/** Prefix in the comment of a table that was detached and not yet dropped or handed over. */
const MARK = 'nestjs-ledger retired ';
/** Replaces it after the table was handed over. */
const HANDED_OVER = 'nestjs-ledger handed over ';

/** Milliseconds after which a claim without renewal expires: its process has ended. */
export const CLAIM_MS = 600_000;

/** No such table. Source: PostgreSQL 18, appendix A. */
const UNDEFINED_TABLE = '42P01';

/** Time limit in milliseconds for the hooks to remove unused data; otherwise they leave it. */
const SWEEP_MS = 2_000;

/** Options for detaching partitions. @internal */
export interface DetachOptions extends LockPatience {
  /** Work of other parts of the ledger. */
  readonly hooks: RetirementHooks;
  /** An application's `onRetire` will receive them, so only it may end them. Default: false. */
  readonly isAwaited?: boolean;
}

/** A table that was detached and not yet dropped or handed over. @internal */
export interface FoundRetired {
  readonly partition: RetiredPartition;
  readonly isAwaited: boolean;
}

/**
 * The earlier of this process's time and the server's, because a table dropped due to a fast clock
 * is lost.
 *
 * @param now milliseconds since 1970, by this process
 * @internal
 */
export async function earlierNow(session: PgSession, now: number): Promise<number> {
  const [row] = await session.rows<{ now: string }>(
    `SELECT (extract(epoch FROM pg_catalog.clock_timestamp()) * 1000)::bigint::text AS now`,
  );
  return Math.min(now, Number(row!.now));
}

/** Partitions whose period ended at or before `cutoff`, oldest first. @internal */
export function partitionsBefore(
  partitions: readonly FoundPartition[],
  cutoff: number,
): FoundPartition[] {
  return partitions.filter(({ isDefault, to }) => !isDefault && to !== undefined && to <= cutoff);
}

/**
 * Detaches partitions from the table. They are no longer read or written. Their rows remain in
 * tables that carry a mark until they are dropped or handed over. Rows of a later time in them
 * (inserted with a caller's own uuid) stay in the ledger.
 *
 * @returns those that were detached by this call; undefined if another process holds the lock
 * @throws any error of the query; 42501 if the role is not the table's owner
 * @internal
 */
export async function detachPartitions(
  session: PgSession,
  sqlTable: string,
  cutoff: number,
  { hooks, isAwaited = false, ...patience }: DetachOptions,
): Promise<RetiredPartition[] | undefined> {
  const detached: RetiredPartition[] = [];
  const found = await listPartitions(session, sqlTable);
  for (const { sql } of partitionsBefore(found?.partitions ?? [], cutoff)) {
    const detach = (): ReturnType<typeof detachOne> =>
      detachOne(session, sqlTable, { sql, isAwaited, hooks });
    const one = await withShortLock(session, detach, patience);
    if (one === 'busy') return undefined;
    if (one !== 'gone') detached.push(one);
  }
  if (found !== undefined && detached.length > 0) {
    const sweep = (): Promise<void> => hooks.swept(session, found.path);
    await withShortLock(session, sweep, { ...patience, withinMs: SWEEP_MS }).catch((error) => {
      // A partition that is locked now is left to the next time.
      if (!isLockRefusal(error)) throw error;
    });
  }
  return detached;
}

async function detachOne(
  session: PgSession,
  sqlTable: string,
  { sql, isAwaited, hooks }: { sql: string; isAwaited: boolean; hooks: RetirementHooks },
): Promise<RetiredPartition | 'busy' | 'gone'> {
  if (!(await tryPartitionLock(session, sqlTable))) return 'busy';
  const table = await listPartitions(session, sqlTable);
  const partition = table?.partitions.find((found) => found.sql === sql);
  if (table === undefined || partition?.to === undefined) return 'gone';
  const columns = columnList(await storedColumns(session, sql));
  const retired = {
    schema: partition.schema,
    table: partition.name,
    from: partition.from === undefined ? null : new Date(partition.from).toISOString(),
    to: new Date(partition.to).toISOString(),
  };
  // CONCURRENTLY is refused with a default partition; this lock is held for milliseconds.
  await session.rows(`ALTER TABLE ${sqlTable} DETACH PARTITION ${sql}`);
  await dropTriggers(session, table.path, sql);
  await hooks.detached(session, table.path, partition.to);
  const others = table.partitions.find(({ isDefault }) => isDefault);
  const move = (): Promise<unknown> =>
    session.rows(
      `WITH later AS (
       DELETE FROM ${sql} WHERE created_at >= ${momentSql(partition.to!)} RETURNING ${columns}
     ) INSERT INTO ${others?.sql ?? sqlTable} (${columns}) OVERRIDING SYSTEM VALUE SELECT ${columns} FROM later`,
      [],
    );
  await withoutTriggers(session, sql, () =>
    others === undefined ? move() : withoutTriggers(session, others.sql, move),
  );
  const { schema: ofSchema, table: of } = table.path;
  const mark = MARK + JSON.stringify({ of, ofSchema, ...retired, isAwaited });
  await session.rows(`COMMENT ON TABLE ${sql} IS ${literalSql(mark)}`);
  return retired;
}

/** Tables that were detached from this one and still carry the mark, oldest first. @internal */
export async function listRetired(session: PgSession, path: TablePath): Promise<FoundRetired[]> {
  const rows = await session.rows<TablePath & { mark: string }>(
    `SELECT pg_catalog.obj_description(c.oid, 'pg_class') AS mark,
       n.nspname::text AS schema, c.relname::text AS table
     FROM pg_catalog.pg_class c JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace
     WHERE c.relkind = 'r' AND NOT c.relispartition
       AND pg_catalog.starts_with(pg_catalog.obj_description(c.oid, 'pg_class'), $1)`,
    [MARK],
  );
  return rows
    .flatMap(({ mark, ...found }) => readMark(mark.slice(MARK.length), path, found))
    .map(({ from, to, schema, table, isAwaited }) => ({
      partition: { schema, table, from, to },
      isAwaited: isAwaited === true,
    }))
    .sort((a, b) => (a.partition.to < b.partition.to ? -1 : 1));
}

/** Anybody may have written the comment, so its content is validated. */
function readMark(text: string, of: TablePath, found: TablePath): Mark[] {
  try {
    const mark = JSON.parse(text) as Mark;
    const isOf = mark.of === of.table && (mark.ofSchema ?? mark.schema) === of.schema;
    return isOf && mark.table === found.table && mark.schema === found.schema ? [mark] : [];
  } catch {
    return [];
  }
}

interface Mark extends RetiredPartition {
  readonly of: string;
  /** Schema of the ledger's table; undefined: the partition's own. */
  readonly ofSchema?: string;
  readonly isAwaited?: boolean;
  readonly claim?: { readonly by: string; readonly until: string };
}

/**
 * Claims a retired partition for one process, or renews its claim.
 *
 * @returns false if another process has claimed it, or it is no longer retired
 * @internal
 */
export function claimRetired(
  session: PgSession,
  retired: RetiredPartition,
  by: string,
): Promise<boolean> {
  return changeMark(session, retired, (mark, now) => {
    const { claim } = mark;
    if (claim && claim.by !== by && Date.parse(claim.until) > now) return undefined;
    return { ...mark, claim: { by, until: new Date(now + CLAIM_MS).toISOString() } };
  });
}

/** Releases the claim, so that others can claim it at once. @internal */
export async function releaseRetired(session: PgSession, retired: RetiredPartition): Promise<void> {
  await changeMark(session, retired, ({ claim: _, ...mark }) => mark);
}

/**
 * Changes the mark, by the server's clock. One process at a time: the table's lock is held from the
 * read to the change.
 *
 * @returns false if `change` returns none, or the table is no longer retired
 */
async function changeMark(
  session: PgSession,
  retired: RetiredPartition,
  change: (mark: Mark, now: number) => Mark | undefined,
): Promise<boolean> {
  const sql = sqlOf(retired);
  const work = async (): Promise<boolean> => {
    const [found] = await session.rows<{
      name: string | null;
    }>('SELECT pg_catalog.to_regclass($1)::text AS name', [sql]);
    if (!found?.name) return false;
    await session.rows(`LOCK TABLE ${sql} IN SHARE UPDATE EXCLUSIVE MODE`);
    const [row] = await session.rows<{ mark: string | null; now: string }>(
      `SELECT pg_catalog.obj_description(pg_catalog.to_regclass($1), 'pg_class') AS mark,
         (extract(epoch FROM pg_catalog.clock_timestamp()) * 1000)::bigint::text AS now`,
      [sql],
    );
    if (!row?.mark?.startsWith(MARK)) return false;
    const mark = change(JSON.parse(row.mark.slice(MARK.length)) as Mark, Number(row.now));
    if (mark === undefined) return false;
    await session.rows(`COMMENT ON TABLE ${sql} IS ${literalSql(MARK + JSON.stringify(mark))}`);
    return true;
  };
  return withShortLock(session, work).catch((error: unknown) => {
    // This waited for the lock, and its holder dropped the table meanwhile.
    if (sqlStateOf(error) === UNDEFINED_TABLE) return false;
    throw error;
  });
}

/**
 * Ends a retirement, unless another process has claimed or ended it.
 *
 * @param end `dropRetired` or `leaveRetired`
 * @returns whether this call ended it
 * @internal
 */
export async function endRetired(
  session: PgSession,
  retired: RetiredPartition,
  by: string,
  end: typeof dropRetired,
): Promise<boolean> {
  if (!(await claimRetired(session, retired, by))) return false;
  try {
    await end(session, retired);
  } catch (error) {
    await releaseRetired(session, retired).catch(() => undefined);
    throw error;
  }
  return true;
}

/**
 * Ends a retirement by dropping the table. This blocks no writer, because the table is unused.
 *
 * @internal
 */
export async function dropRetired(session: PgSession, retired: RetiredPartition): Promise<void> {
  await session.rows(`DROP TABLE IF EXISTS ${sqlOf(retired)}`);
}

/** Ends a retirement by leaving the table to the application, if it still exists. @internal */
export async function leaveRetired(session: PgSession, retired: RetiredPartition): Promise<void> {
  const [row] = await session.rows<{ name: string | null }>(
    'SELECT pg_catalog.to_regclass($1)::text AS name',
    [sqlOf(retired)],
  );
  if (!row?.name) return;
  const mark = HANDED_OVER + new Date().toISOString();
  await session.rows(`COMMENT ON TABLE ${sqlOf(retired)} IS ${literalSql(mark)}`);
}

function sqlOf({ schema, table }: RetiredPartition): string {
  return relationOf({ schema, table: '' }, table).sql;
}
