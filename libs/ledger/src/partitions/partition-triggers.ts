import { guardSql } from '../postgres/guard-sql.js';
import { quoteIdentifier } from '../postgres/quote-sql.js';
import { NAME_ENDINGS } from '../entry/check-definition.js';
import type { PgSession } from '../postgres/pg-session.js';
import { ROLLUP_TRIGGERS, triggerSql } from '../rollup/rollup-triggers.js';
import { momentSql, relationOf, type TablePath } from './partition-sql.js';

// What a table with rollups, or one that is immutable, needs when its partitions come and go. All may
// be asked of any table.

/** Triggers of a ledger's, of which each partition has what its table has. */
const ENDINGS = [...ROLLUP_TRIGGERS.map(({ ending }) => ending), 'immutable'] as const;
type Ending = (typeof ENDINGS)[number];

/** Those that this relation has. @param on quoted */
async function foundTriggers(session: PgSession, { table }: TablePath, on: string) {
  const rows = await session.rows<{ name: string }>(
    `SELECT tgname::text AS name FROM pg_catalog.pg_trigger
     WHERE tgrelid = pg_catalog.to_regclass($1) AND NOT tgisinternal`,
    [on],
  );
  return ENDINGS.map((ending): { ending: Ending; name: string } => ({
    ending,
    name: table + NAME_ENDINGS[ending],
  })).filter((trigger) => rows.some(({ name }) => name === trigger.name));
}

/**
 * Gives a new partition the triggers that its table has: a statement that names the partition itself
 * fires none of the table's.
 *
 * @internal
 */
export async function addTriggers(
  session: PgSession,
  path: TablePath,
  sqlPartition: string,
): Promise<void> {
  for (const { ending } of await foundTriggers(session, path, relationOf(path, path.table).sql)) {
    const sql =
      ending === 'immutable'
        ? guardSql(path, sqlPartition)
        : triggerSql({ ending, ...path }, sqlPartition);
    await session.rows(sql);
  }
}

/** Gives them to all partitions of a table, which have none yet. @internal */
export async function addAllTriggers(session: PgSession, path: TablePath): Promise<void> {
  const rows = await session.rows<{ name: string }>(
    `SELECT inhrelid::pg_catalog.regclass::text AS name FROM pg_catalog.pg_inherits
     WHERE inhparent = pg_catalog.to_regclass($1)`,
    [relationOf(path, path.table).sql],
  );
  for (const { name } of rows) await addTriggers(session, path, name);
}

/**
 * Runs `work` while the triggers of a partition are off, those of users too, which might count rows
 * or keep them: rows that only change their partition are no difference. Part of a transaction that
 * holds the partition for itself.
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

/**
 * Lets rollups know, in the transaction that detaches a partition, that entries created before a
 * moment went with it: reads take what is left of that time from the rows. Costs the same however
 * many there were. The table that was detached loses its triggers.
 *
 * @param before milliseconds since 1970
 * @internal
 */
export async function retireFromRollups(
  session: PgSession,
  path: TablePath,
  sqlPartition: string,
  before: number,
): Promise<void> {
  for (const { name } of await foundTriggers(session, path, sqlPartition)) {
    await session.rows(`DROP TRIGGER ${quoteIdentifier(name)} ON ${sqlPartition}`);
  }
  const sqlState = relationOf(path, path.table + NAME_ENDINGS.rollupState).sql;
  if (!(await isThere(session, sqlState))) return;
  await session.rows(
    `UPDATE ${sqlState} SET retired_before = greatest(retired_before, ${momentSql(before)})`,
  );
}

/**
 * Removes the spans that nothing reads any more. They do no harm: whoever retires the next partition
 * removes what is left of them.
 *
 * @internal
 */
export async function sweepRollups(session: PgSession, path: TablePath): Promise<void> {
  const own = (ending: 'rollups' | 'rollupState'): string =>
    relationOf(path, path.table + NAME_ENDINGS[ending]).sql;
  if (!(await isThere(session, own('rollupState')))) return;
  // The span that ends at the moment itself stays: its line begins there.
  await session.rows(
    `DELETE FROM ${own('rollups')} WHERE hi < (SELECT retired_before FROM ${own('rollupState')})`,
  );
}

async function isThere(session: PgSession, sqlName: string): Promise<boolean> {
  const [row] = await session.rows<{
    name: string | null;
  }>('SELECT pg_catalog.to_regclass($1)::text AS name', [sqlName]);
  return row?.name != null;
}
