import { quoteIdentifier } from '../postgres/quote-sql.js';
import type { PgSession } from '../postgres/pg-session.js';
import { relationOf, type TablePath } from './partition-sql.js';

/**
 * The ledger's own triggers of a relation: statement-level, with the name of their function, which
 * begins with the table's. $1: the relation, $2: the table's name.
 */
const OWN_TRIGGERS = `
FROM pg_catalog.pg_trigger t
JOIN pg_catalog.pg_proc p ON p.oid = t.tgfoid
JOIN pg_catalog.pg_class c ON c.oid = t.tgrelid
JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace
WHERE t.tgrelid = pg_catalog.to_regclass($1) AND NOT t.tgisinternal AND (t.tgtype & 1) = 0
  AND t.tgname = p.proname AND pg_catalog.starts_with(t.tgname::text, $2 || '_')`;

/**
 * Adds the ledger's triggers to a new partition, because a statement that names the partition
 * itself fires none of the table's.
 *
 * @internal
 */
export async function addTriggers(
  session: PgSession,
  path: TablePath,
  sqlPartition: string,
): Promise<void> {
  const rows = await session.rows<{ definition: string }>(
    `SELECT pg_catalog.replace(pg_catalog.pg_get_triggerdef(t.oid),
       pg_catalog.format(' ON %I.%I ', n.nspname, c.relname), ' ON ' || $3 || ' ') AS definition
     ${OWN_TRIGGERS}`,
    [relationOf(path, path.table).sql, path.table, sqlPartition],
  );
  for (const { definition } of rows) await session.rows(definition);
}

/** Removes them from a table that is no longer a partition. @internal */
export async function dropTriggers(
  session: PgSession,
  { table }: TablePath,
  sqlTable: string,
): Promise<void> {
  const sql = `SELECT t.tgname::text AS name ${OWN_TRIGGERS}`;
  const rows = await session.rows<{ name: string }>(sql, [sqlTable, table]);
  for (const { name } of rows) {
    await session.rows(`DROP TRIGGER ${quoteIdentifier(name)} ON ${sqlTable}`);
  }
}

/** Adds them to all partitions of a table, which have none yet. @internal */
export async function addAllTriggers(session: PgSession, path: TablePath): Promise<void> {
  const rows = await session.rows<{ name: string }>(
    `SELECT inhrelid::pg_catalog.regclass::text AS name FROM pg_catalog.pg_inherits
     WHERE inhparent = pg_catalog.to_regclass($1)`,
    [relationOf(path, path.table).sql],
  );
  for (const { name } of rows) await addTriggers(session, path, name);
}

/**
 * Runs `work` with all triggers of a partition disabled, including users' triggers, which might
 * count or keep rows: rows that only change their partition are no change. Part of a transaction
 * that locks the partition.
 *
 * @internal
 */
export async function withoutTriggers<T>(
  session: PgSession,
  sqlPartition: string,
  work: () => Promise<T>,
): Promise<T> {
  const triggers = await session.rows<{ name: string; on: string }>(
    `SELECT tgname::text AS name, CASE tgenabled WHEN 'A' THEN 'ENABLE ALWAYS' ELSE 'ENABLE' END AS on
     FROM pg_catalog.pg_trigger
     WHERE tgrelid = pg_catalog.to_regclass($1) AND NOT tgisinternal AND tgenabled IN ('O', 'A')`,
    [sqlPartition],
  );
  const turn = (how: string, name: string): Promise<unknown> =>
    session.rows(`ALTER TABLE ${sqlPartition} ${how} TRIGGER ${quoteIdentifier(name)}`);
  for (const { name } of triggers) await turn('DISABLE', name);
  const result = await work();
  for (const { name, on } of triggers) await turn(on, name);
  return result;
}
