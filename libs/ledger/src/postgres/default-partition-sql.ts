import { literalSql } from './quote-sql.js';
import type { TableNames } from './table-names.js';

/**
 * Creates the default partition. May run twice. It does not change a plain table, which `npx
 * nestjs-ledger partitions convert` turns into a partitioned one.
 *
 * @internal
 */
export function createDefaultPartitionSql(
  names: Pick<TableNames, 'sqlEntries' | 'sqlDefaultPartition'>,
): string {
  const { sqlEntries, sqlDefaultPartition } = names;
  const body = `BEGIN
      IF EXISTS (SELECT FROM pg_catalog.pg_partitioned_table
        WHERE partrelid = pg_catalog.to_regclass(${literalSql(sqlEntries)}) AND partdefid = 0) THEN
        CREATE TABLE ${sqlDefaultPartition} PARTITION OF ${sqlEntries} DEFAULT;
      END IF;
    END`;
  return `DO ${literalSql(body)}`;
}
