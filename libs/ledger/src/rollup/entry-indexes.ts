import { qualify, quoteIdentifier } from '../postgres/quote-sql.js';
import { NAME_ENDINGS } from '../entry/check-definition.js';
import type { LedgerTable } from '../entry/ledger-definition.js';
import type { QueryFunction } from '../postgres/load-catalog.js';
import { BRIN_COLUMNS, LATE_COLUMNS, rollupNames } from './rollup-layout.js';
import { tableNames } from '../postgres/table-names.js';

/** Indexes of entries that rollups need: what follows the table's name, and what they are of. */
const INDEXES = [
  {
    sqlName: 'sqlBrin',
    ending: NAME_ENDINGS.createdBrin,
    // A partition's name leaves less room.
    partitionEnding: '_brin',
    columns: BRIN_COLUMNS,
  },
  {
    sqlName: 'sqlLate',
    ending: NAME_ENDINGS.lateIndex,
    partitionEnding: '_late',
    columns: LATE_COLUMNS,
  },
] as const;

/**
 * Makes the two indexes of entries where they are missing or half made, while writers go on. Not in a
 * transaction.
 *
 * @throws what the query throws; 42501 if the role is not the table's owner
 * @internal
 */
export async function makeEntryIndexes(query: QueryFunction, table: LedgerTable): Promise<void> {
  const { sqlEntries } = tableNames(table);
  const names = rollupNames(table, table.schema);
  // The index of a partitioned table is invalid as long as a partition lacks its own.
  const broken = await rowsOf<{ name: string }>(
    query,
    `SELECT i.indexrelid::regclass::text AS name FROM pg_catalog.pg_index i
     JOIN pg_catalog.pg_class c ON c.oid = i.indexrelid AND c.relkind = 'i'
     LEFT JOIN pg_catalog.pg_inherits h ON h.inhrelid = i.indrelid
     WHERE NOT i.indisvalid AND (i.indexrelid IN (to_regclass($1), to_regclass($2))
       OR h.inhparent = to_regclass($3) AND c.relname IN (${INDEXES.map(
         ({ partitionEnding }) =>
           `(SELECT p.relname || '${partitionEnding}' FROM pg_catalog.pg_class p WHERE p.oid = i.indrelid)`,
       ).join(', ')}))`,
    [...INDEXES.map(({ sqlName }) => names[sqlName]), sqlEntries],
  );
  for (const { name } of broken) await query(`DROP INDEX ${name}`, []);
  const [found] = await rowsOf<{ kind: string }>(
    query,
    'SELECT relkind::text AS kind FROM pg_catalog.pg_class WHERE oid = to_regclass($1)',
    [sqlEntries],
  );
  for (const index of INDEXES) {
    const name = quoteIdentifier(table.table + index.ending);
    if (found?.kind === 'p') {
      await query(`CREATE INDEX IF NOT EXISTS ${name} ON ONLY ${sqlEntries} ${index.columns}`, []);
      await indexPartitions(query, sqlEntries, names[index.sqlName], index);
    } else {
      const sql = `CREATE INDEX CONCURRENTLY IF NOT EXISTS ${name} ON ${sqlEntries} ${index.columns}`;
      await query(sql, []);
    }
  }
}

/** CONCURRENTLY is refused for a partitioned table: each partition gets its own, then they are joined. */
async function indexPartitions(
  query: QueryFunction,
  sqlEntries: string,
  sqlIndex: string,
  index: (typeof INDEXES)[number],
): Promise<void> {
  const partitions = await rowsOf<{ schema: string; name: string }>(
    query,
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
    const own = name + index.partitionEnding;
    const on = qualify(schema, name);
    await query(
      `CREATE INDEX CONCURRENTLY IF NOT EXISTS ${quoteIdentifier(own)} ON ${on} ${index.columns}`,
      [],
    );
    await query(`ALTER INDEX ${sqlIndex} ATTACH PARTITION ${qualify(schema, own)}`, []);
  }
}

async function rowsOf<T>(query: QueryFunction, sql: string, values: unknown[]): Promise<T[]> {
  return (await query(sql, values)) as T[];
}
