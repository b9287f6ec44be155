import { fitName, type EntryIndex } from '../entry/entry-indexes.js';
import type { LedgerTable } from '../entry/ledger-definition.js';
import type { PgSession } from './pg-session.js';
import { qualify, quoteIdentifier } from './quote-sql.js';
import { withShortLock } from './short-lock.js';
import { tableNames } from './table-names.js';

/** An index of the entries. @internal */
export interface WantedIndex {
  /** Unquoted. */
  readonly name: string;
  /** Suffix after a partition's name in the name of that partition's index. */
  readonly ending: string;
  /** Text after the table in CREATE INDEX. */
  readonly body: string;
}

/** Columns and condition of an index of entries. @internal */
export function indexBody({ column, isPartial }: EntryIndex): string {
  const name = quoteIdentifier(column);
  return `(${name}, created_at)${isPartial ? ` WHERE ${name} IS NOT NULL` : ''}`;
}

/**
 * Creates indexes that are missing or incomplete, while writers continue: no statement holds a lock
 * that blocks a writer for longer than a moment. Run it outside a transaction, in one process at a
 * time.
 *
 * @param definition with its effective schema
 * @throws any error of the session; 42501 if the role is not the table's owner
 * @internal
 */
export async function makeIndexes(
  session: PgSession,
  definition: Pick<LedgerTable, 'table' | 'schema'>,
  indexes: readonly WantedIndex[],
): Promise<void> {
  const { schema, table } = definition;
  const { sqlEntries } = tableNames(definition as LedgerTable);
  await dropBroken(session, { table, sqlEntries }, indexes);
  const [found] = await session.rows<{ kind: string }>(
    'SELECT relkind::text AS kind FROM pg_catalog.pg_class WHERE oid = to_regclass($1)',
    [sqlEntries],
  );
  for (const index of indexes) {
    const name = quoteIdentifier(index.name);
    if (found?.kind === 'p') {
      const sql = `CREATE INDEX IF NOT EXISTS ${name} ON ONLY ${sqlEntries} ${index.body}`;
      await withShortLock(session, () => session.rows(sql));
      await indexPartitions(session, sqlEntries, qualify(schema, index.name), index);
    } else {
      await session.rows(
        `CREATE INDEX CONCURRENTLY IF NOT EXISTS ${name} ON ${sqlEntries} ${index.body}`,
      );
    }
  }
}

/**
 * An interrupted build leaves an invalid index, which costs as much as a valid one and serves no
 * read. CONCURRENTLY, so that nothing waits behind it for a build in progress.
 */
async function dropBroken(
  session: PgSession,
  { table, sqlEntries }: { readonly table: string; readonly sqlEntries: string },
  indexes: readonly WantedIndex[],
): Promise<void> {
  // The index of a partitioned table is invalid while a partition lacks its own.
  const broken = await session.rows<{ sql: string; name: string; on: string }>(
    `SELECT i.indexrelid::regclass::text AS sql, c.relname::text AS name, t.relname::text AS on
     FROM pg_catalog.pg_index i
     JOIN pg_catalog.pg_class c ON c.oid = i.indexrelid AND c.relkind = 'i'
     JOIN pg_catalog.pg_class t ON t.oid = i.indrelid
     LEFT JOIN pg_catalog.pg_inherits h ON h.inhrelid = i.indrelid
     WHERE NOT i.indisvalid AND to_regclass($1) IN (i.indrelid, h.inhparent)`,
    [sqlEntries],
  );
  for (const { sql, name, on } of broken) {
    const isOwn = indexes.some((index) =>
      on === table ? name === index.name : name === fitName(on, index.ending),
    );
    if (isOwn) await session.rows(`DROP INDEX CONCURRENTLY IF EXISTS ${sql}`);
  }
}

/**
 * A partitioned table refuses CONCURRENTLY: each partition gets its own index, then they are
 * joined.
 */
async function indexPartitions(
  session: PgSession,
  sqlEntries: string,
  sqlIndex: string,
  index: WantedIndex,
): Promise<void> {
  const partitions = await session.rows<{ schema: string; name: string }>(
    `SELECT n.nspname::text AS schema, c.relname::text AS name FROM pg_catalog.pg_inherits h
     JOIN pg_catalog.pg_class c ON c.oid = h.inhrelid
     JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace
     WHERE h.inhparent = to_regclass($1) AND NOT EXISTS (
       SELECT FROM pg_catalog.pg_index i JOIN pg_catalog.pg_inherits x ON x.inhrelid = i.indexrelid
       WHERE i.indrelid = c.oid AND x.inhparent = to_regclass($2))
     ORDER BY c.relname`,
    [sqlEntries, sqlIndex],
  );
  for (const { schema, name } of partitions) {
    const own = fitName(name, index.ending);
    const on = qualify(schema, name);
    await session.rows(
      `CREATE INDEX CONCURRENTLY IF NOT EXISTS ${quoteIdentifier(own)} ON ${on} ${index.body}`,
    );
    const attach = `ALTER INDEX ${sqlIndex} ATTACH PARTITION ${qualify(schema, own)}`;
    await withShortLock(session, () => session.rows(attach));
  }
}
