import { columnList, quoteIdentifier } from '../postgres/quote-sql.js';
import type { PgSession } from '../postgres/pg-session.js';
import { listPartitions, type FoundPartition, type PartitionedTable } from './list-partitions.js';
import { boundsSql, partitionOf, straysIndexSql } from './partition-sql.js';
import { addTriggers, withoutTriggers } from './partition-triggers.js';
import { uuidBound, type Period } from './period.js';
import { withShortLock, type LockPatience } from '../postgres/short-lock.js';

/** The result for the requested periods. @internal */
export interface CreationReport {
  /** Names of the created partitions, in order. */
  readonly created: readonly string[];
  /** Rows moved from the default partition to their own. */
  readonly moved: number;
  /** Another process is creating partitions, and will create the remaining ones. */
  readonly isBusy: boolean;
}

/**
 * The periods without a partition. A period that overlaps a partition with other bounds counts as
 * covered, because ranges can't overlap.
 *
 * @internal
 */
export function missingPeriods(
  { partitions }: PartitionedTable,
  periods: readonly Period[],
): Period[] {
  const ranges = partitions.filter(({ isDefault }) => !isDefault);
  return periods.filter((period) => !ranges.some((range) => meets(range, period)));
}

function meets({ from, to }: FoundPartition, period: Period): boolean {
  return (to ?? Infinity) > period.from && (from ?? -Infinity) < period.to;
}

/**
 * Creates the missing partitions, one transaction each, one process at a time: the others find the
 * lock taken and skip the work. Writers continue meanwhile, because no lock blocks the other
 * partitions. The exception is rows in the default partition: they are moved, and all writers wait
 * for that.
 *
 * @throws any error of the query; 42501 if the role is not the table's owner
 * @internal
 */
export async function createPartitions(
  session: PgSession,
  sqlTable: string,
  periods: readonly Period[],
  patience?: LockPatience,
): Promise<CreationReport> {
  const created: string[] = [];
  let moved = 0;
  for (const period of periods) {
    const made = await withShortLock(session, () => createOne(session, sqlTable, period), patience);
    if (made === 'busy') return { created, moved, isBusy: true };
    if (made === 'covered') continue;
    created.push(made.name);
    moved += made.moved;
  }
  return { created, moved, isBusy: false };
}

async function createOne(
  session: PgSession,
  sqlTable: string,
  period: Period,
): Promise<'busy' | 'covered' | { name: string; moved: number }> {
  if (!(await tryPartitionLock(session, sqlTable))) return 'busy';
  const table = await listPartitions(session, sqlTable);
  // Another process may have made it between the first check and the lock.
  if (table === undefined || missingPeriods(table, [period]).length === 0) return 'covered';
  const partition = partitionOf(table.path, period);
  // ATTACH instead of PARTITION OF, which would block all writers of the whole table. Moved rows
  // are invisible to a transaction that opened the table before the move and reads it afterwards.
  const mode = (await waitsInDefault(session, table, period)) ? 'ACCESS' : 'SHARE UPDATE';
  await session.rows(`LOCK TABLE ${sqlTable} IN ${mode} EXCLUSIVE MODE`);
  const tablespace = await tablespaceSql(session, sqlTable);
  await session.rows(
    `CREATE TABLE ${partition.sql} (LIKE ${sqlTable} INCLUDING ALL EXCLUDING IDENTITY) ${tablespace}`,
  );
  await addTriggers(session, table.path, partition.sql);
  const moved = await moveFromDefault(session, table, partition.sql, period);
  await session.rows(
    `ALTER TABLE ${sqlTable} ATTACH PARTITION ${partition.sql} ${boundsSql(period)}`,
  );
  await session.rows(straysIndexSql(partition, period));
  return { name: partition.name, moved };
}

async function waitsInDefault(
  session: PgSession,
  { partitions }: PartitionedTable,
  period: Period,
): Promise<boolean> {
  const found = partitions.find(({ isDefault }) => isDefault);
  if (found === undefined) return false;
  const [row] = await session.rows<{ waits: string }>(
    `SELECT EXISTS (SELECT FROM ${found.sql} WHERE uuid >= $1::uuid AND uuid < $2::uuid)::text AS waits`,
    [uuidBound(period.from), uuidBound(period.to)],
  );
  return row?.waits === 'true';
}

/** The new partition can't be attached while the default one contains its rows. */
async function moveFromDefault(
  session: PgSession,
  table: PartitionedTable,
  sqlPartition: string,
  period: Period,
): Promise<number> {
  const from = table.partitions.find(({ isDefault }) => isDefault);
  if (from === undefined) return 0;
  // No other row may be added there between this statement and the commit.
  await session.rows(`LOCK TABLE ${from.sql} IN ACCESS EXCLUSIVE MODE`);
  const columns = columnList(await storedColumns(session, from.sql));
  const move = (): Promise<unknown> =>
    session.rows(
      `WITH moved AS (
       DELETE FROM ${from.sql} WHERE uuid >= $1::uuid AND uuid < $2::uuid RETURNING ${columns}
     ), written AS (
       INSERT INTO ${sqlPartition} (${columns}) OVERRIDING SYSTEM VALUE
       SELECT ${columns} FROM moved RETURNING 1
     ) SELECT count(*)::text AS moved FROM written`,
      [uuidBound(period.from), uuidBound(period.to)],
    );
  const rows = await withoutTriggers(session, from.sql, move);
  return Number((rows as { moved: string }[])[0]?.moved ?? 0);
}

/**
 * The clause that puts a new table into this table's tablespace; for a partitioned table that of
 * its future partitions. LIKE does not copy it. Empty for the database's default tablespace.
 *
 * @internal
 */
export async function tablespaceSql(session: PgSession, sqlTable: string): Promise<string> {
  const [row] = await session.rows<{ name: string }>(
    `SELECT spcname::text AS name FROM pg_catalog.pg_class c
     JOIN pg_catalog.pg_tablespace t ON t.oid = c.reltablespace
     WHERE c.oid = pg_catalog.to_regclass($1)`,
    [sqlTable],
  );
  return row === undefined ? '' : `TABLESPACE ${quoteIdentifier(row.name)}`;
}

/** Columns that an INSERT can set; generated ones are derived. @internal */
export async function storedColumns(session: PgSession, sqlTable: string): Promise<string[]> {
  const rows = await session.rows<{ name: string }>(
    `SELECT attname::text AS name FROM pg_catalog.pg_attribute
     WHERE attrelid = pg_catalog.to_regclass($1) AND attnum > 0 AND NOT attisdropped
       AND attgenerated = '' ORDER BY attnum`,
    [sqlTable],
  );
  return rows.map(({ name }) => name);
}

/**
 * Takes the lock for creating and retiring partitions; it ends with the transaction.
 *
 * @returns false if another process holds it
 * @internal
 */
export async function tryPartitionLock(session: PgSession, sqlTable: string): Promise<boolean> {
  const rows = await session.rows<{ got: string }>(
    `SELECT pg_catalog.pg_try_advisory_xact_lock(pg_catalog.hashtextextended(
       'nestjs-ledger:partitions:' || pg_catalog.to_regclass($1)::oid::text, 0))::text AS got`,
    [sqlTable],
  );
  return rows[0]?.got === 'true';
}
