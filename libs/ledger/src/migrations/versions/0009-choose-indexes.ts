import type { SqlMigration } from '../../postgres/sql-migration.interface.js';

/**
 * Bytes of a table above which this migration makes no index on it, because writers wait for that:
 * at this size for a fifth of a second. Larger tables get it from `nestjs-ledger migrate`, which
 * blocks no writer.
 */
const LARGE_BYTES = 32 * 1024 * 1024;

/**
 * The indexes that the definition requests. It runs once for each set of them, under its own name.
 * A table without entries loses those of migration 1 that the definition does not request. A table
 * with entries keeps them, because queries may use them.
 *
 * @internal
 */
export const chooseIndexes: SqlMigration = {
  number: 9,
  action: 'choose_indexes',
  up: `
DO $do$
BEGIN
  -- The bytes of a partitioned table are those of its partitions.
  IF (
    SELECT sum(pg_catalog.pg_table_size(t.oid))
    FROM (
      SELECT pg_catalog.to_regclass({entries.text})::oid AS oid
      UNION ALL
      SELECT inhrelid FROM pg_catalog.pg_inherits WHERE inhparent = pg_catalog.to_regclass({entries.text})
    ) AS t
  ) < ${LARGE_BYTES} THEN
    {createIndexes}
  END IF;
  IF NOT EXISTS (SELECT FROM {entries}) THEN
    {dropIndexes}
  END IF;
END $do$;
`,
  down: `{dropAdded}
DO $do$
BEGIN
  -- The table may be gone already.
  IF pg_catalog.to_regclass({entries.text}) IS NOT NULL THEN
    CREATE INDEX IF NOT EXISTS {userIndex.name} ON {entries} (user_id, created_at);
    CREATE INDEX IF NOT EXISTS {apiKeyIndex.name} ON {entries} (api_key_id, created_at)
      WHERE api_key_id IS NOT NULL;
  END IF;
END $do$;`,
};
