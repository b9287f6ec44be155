import { literalSql } from './quote-sql.js';
import type { TableNames } from './table-names.js';

/**
 * Makes the partition that takes what no other one takes. May run twice, and leaves a plain table
 * alone, which `npx nestjs-ledger partitions convert` turns into a partitioned one.
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

/**
 * Runs statements for each partition of a table, its quoted name in place of `{partition}`; for a
 * plain table none.
 *
 * @internal
 */
export function eachPartitionSql(sqlEntries: string, statements: readonly string[]): string {
  const body = `DECLARE v_partition text;
    BEGIN
      FOR v_partition IN SELECT inhrelid::pg_catalog.regclass::text FROM pg_catalog.pg_inherits
        WHERE inhparent = pg_catalog.to_regclass(${literalSql(sqlEntries)})
      LOOP ${statements
        .map((sql) => `EXECUTE pg_catalog.replace(${literalSql(sql)}, '{partition}', v_partition);`)
        .join('\n')}
      END LOOP;
    END`;
  return `DO ${literalSql(body)}`;
}
