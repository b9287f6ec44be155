import { quoteIdentifier } from '../postgres/quote-sql.js';
import type { PartitionPeriod } from '../entry/ledger-definition.js';
import type { PgSession } from '../postgres/pg-session.js';
import { conversionCheck } from '../postgres/table-names.js';
import { createPartitions, tablespaceSql, tryPartitionLock } from './create-partitions.js';
import { createDefaultPartitionSql } from '../postgres/default-partition-sql.js';
import { readPlainTable, type PlainTable } from './read-plain-table.js';
import { addAllTriggers } from './partition-triggers.js';
import { boundsSql, defaultPartition, relationOf, straysIndexSql } from './partition-sql.js';
import type { RelationName } from './partition-sql.js';
import { PERIODS_AHEAD } from './partition-plan.js';
import { periodAt, uuidBound } from './period.js';
import { withShortLock, type LockPatience } from '../postgres/short-lock.js';

/**
 * The old table takes all entries up to the first period that begins this much later: the ledger
 * accepts entries up to one day ahead, and the scan of the table may take a while.
 */
const MARGIN_MS = 2 * 86_400_000;

/** The plan or result of a conversion. @internal */
export interface ConversionPlan {
  /** The plain table becomes this partition. */
  readonly oldPartition: string;
  /** It takes entries up to this time; partitions of one period each follow. ISO 8601. */
  readonly until: string;
  /** Rows whose uuid has no time before that; they move to the default partition. */
  readonly strays: number;
  /**
   * Rows with an idempotency key without a time. Their keys can be reused afterwards, because the
   * uuid of a key then contains the time.
   */
  readonly keyed: number;
  /** Reasons why the table can't be converted, each a sentence; empty if it can. */
  readonly obstacles: readonly string[];
}

/**
 * Plans a `convertTable`. Changes nothing.
 *
 * @returns undefined if there is no such table
 * @internal
 */
export async function planConversion(
  session: PgSession,
  sqlTable: string,
  unit: PartitionPeriod,
  now: number = Date.now(),
): Promise<(ConversionPlan & { readonly found: PlainTable; readonly end: number }) | undefined> {
  const found = await readPlainTable(session, sqlTable);
  if (found === undefined) return undefined;
  // The first period that begins after the margin.
  const end = periodAt(unit, now + MARGIN_MS, 1).from;
  const [row] = found.obstacles.length > 0 ? [] : await countOthers(session, sqlTable, end);
  return {
    found,
    end,
    oldPartition: oldPartitionOf(found).name,
    until: new Date(end).toISOString(),
    strays: Number(row?.strays ?? 0),
    keyed: Number(row?.keyed ?? 0),
    obstacles: found.obstacles,
  };
}

/**
 * Counts uuids from the first period on, and those without a time, which begin with zeros: two
 * ranges of the key.
 */
function countOthers(session: PgSession, sqlTable: string, end: number) {
  const sql = `SELECT (SELECT count(*) FROM ${sqlTable} WHERE uuid >= $1::uuid)::text AS strays,
    (SELECT count(*) FROM ${sqlTable} WHERE uuid < $2::uuid)::text AS keyed`;
  return session.rows<{ strays: string; keyed: string }>(sql, [uuidBound(end), uuidBound(1)]);
}

function oldPartitionOf({ path }: PlainTable): RelationName {
  return relationOf(path, `${path.table}_p0`);
}

/**
 * Turns a plain table into the first partition of a partitioned table with its name, while writers
 * continue: they wait only briefly for a lock, no row is copied, and none is refused. The rows are
 * scanned before the lock is taken, or under the lock if some uuids have no time.
 *
 * @returns undefined if there is no such table, or it can't be converted: the plan gives the
 *   reasons
 * @throws any error of the query; nothing has changed then, or the error names the object to remove
 * @internal
 */
export async function convertTable(
  session: PgSession,
  sqlTable: string,
  unit: PartitionPeriod,
  patience: LockPatience & { readonly now?: number } = {},
): Promise<ConversionPlan | undefined> {
  const plan = await planConversion(session, sqlTable, unit, patience.now);
  if (plan === undefined || plan.obstacles.length > 0) return undefined;
  const { found, end, strays, keyed } = plan;
  const conversion = { session, sqlTable, found, end, old: oldPartitionOf(found) };
  const check = quoteIdentifier(conversionCheck(found.path.table));
  if (strays === 0) {
    await withShortLock(
      session,
      () =>
        session.rows(
          `ALTER TABLE ${sqlTable} DROP CONSTRAINT IF EXISTS ${check},
           ADD CONSTRAINT ${check} CHECK (uuid < '${uuidBound(end)}') NOT VALID`,
        ),
      patience,
    );
  }
  try {
    // Reads all rows, and blocks no writer.
    if (strays === 0) await session.rows(`ALTER TABLE ${sqlTable} VALIDATE CONSTRAINT ${check}`);
    await withShortLock(session, () => swap(conversion, check), patience);
  } catch (error) {
    if (strays === 0) await removeCheck(conversion, check, error);
    throw error;
  }
  await session.rows(straysIndexSql(conversion.old, { from: undefined, to: end }, true));
  const periods = Array.from({ length: PERIODS_AHEAD[unit] }, (_, index) =>
    periodAt(unit, end, index),
  );
  await createPartitions(session, sqlTable, periods, patience);
  const { oldPartition, until, obstacles } = plan;
  return { oldPartition, until, strays, keyed, obstacles };
}

/**
 * Removes the check, which would refuse all entries of the next period. @throws Error if it can't
 * be removed
 */
async function removeCheck({ session, sqlTable, end }: Conversion, check: string, cause: unknown) {
  const sql = `ALTER TABLE ${sqlTable} DROP CONSTRAINT IF EXISTS ${check}`;
  try {
    await withShortLock(session, () => session.rows(sql));
  } catch {
    const until = new Date(end).toISOString();
    throw new Error(`entries from ${until} on will be refused, until you run: ${sql}`, { cause });
  }
}

interface Conversion {
  readonly session: PgSession;
  readonly sqlTable: string;
  readonly found: PlainTable;
  readonly end: number;
  readonly old: RelationName;
}

/** All under one lock; after any failure the transaction restores the plain table. */
async function swap({ session, sqlTable, found, end, old }: Conversion, check: string) {
  const { path } = found;
  if (!(await tryPartitionLock(session, sqlTable)))
    throw new Error('another process creates or retires partitions of this table: try again');
  const run = (sql: string): Promise<unknown> => session.rows(sql);
  await run(`LOCK TABLE ${sqlTable} IN ACCESS EXCLUSIVE MODE`);
  for (const { name } of found.triggers) {
    await run(`DROP TRIGGER ${quoteIdentifier(name)} ON ${sqlTable}`);
  }
  for (const { name } of found.indexes) {
    const { sql } = relationOf(path, name);
    await run(`ALTER INDEX ${sql} RENAME TO ${quoteIdentifier(oldIndexName(path.table, name))}`);
  }
  await run(`ALTER TABLE ${sqlTable} RENAME TO ${quoteIdentifier(old.name)}`);
  await run(
    `CREATE TABLE ${sqlTable} (LIKE ${old.sql} INCLUDING ALL EXCLUDING INDEXES EXCLUDING IDENTITY)
     PARTITION BY RANGE (uuid) ${await tablespaceSql(session, old.sql)}`,
  );
  await run(`ALTER TABLE ${sqlTable} DROP CONSTRAINT IF EXISTS ${check}`);
  // Their definitions contain the table's name, which now belongs to the new one.
  for (const { definition } of [...found.constraints, ...found.indexes]) {
    if (definition !== null) await run(definition);
  }
  // Otherwise the old table could not be dropped after its retirement, because all others use its
  // sequences.
  for (const sql of [...found.grants, ...found.sequences]) await run(sql);
  await run(
    createDefaultPartitionSql({
      sqlEntries: sqlTable,
      sqlDefaultPartition: defaultPartition(path).sql,
    }),
  );
  await run(
    `WITH strays AS (DELETE FROM ${old.sql} WHERE uuid >= '${uuidBound(end)}'
       RETURNING ${found.columnList})
     INSERT INTO ${defaultPartition(path).sql} (${found.columnList}) OVERRIDING SYSTEM VALUE
     SELECT ${found.columnList} FROM strays`,
  );
  const bounds = boundsSql({ from: undefined, to: end });
  await run(`ALTER TABLE ${sqlTable} ATTACH PARTITION ${old.sql} ${bounds}`);
  await run(`ALTER TABLE ${old.sql} DROP CONSTRAINT IF EXISTS ${check}`);
  for (const { definition } of found.triggers) await run(definition);
  await addAllTriggers(session, path);
}

/** Names of indexes are unique in the schema, so the old indexes are renamed. */
function oldIndexName(table: string, index: string): string {
  const ending = index.startsWith(table) ? index.slice(table.length) : `_${index}`;
  return shortened(`${table}_p0${ending}`);
}

/** PostgreSQL would truncate a longer name itself, even within a character. */
function shortened(name: string): string {
  let text = name;
  while (Buffer.byteLength(text) > 63) text = text.slice(0, -1);
  return text;
}
