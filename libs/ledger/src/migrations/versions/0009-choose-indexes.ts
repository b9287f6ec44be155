import type { SqlMigration } from '../../postgres/sql-migration.interface.js';

/**
 * Bytes of a table above which this makes no index on it: writers wait for that, at this size for a fifth
 * of a second. Larger ones get it from `nestjs-ledger migrate`, for which nobody waits.
 */
const LARGE_BYTES = 32 * 1024 * 1024;

/**
 * The indexes that the definition asks for. It runs once for each set of them, under a name of its own.
 * A table without entries loses those of migration 1 that the definition does not ask for. One with
 * entries keeps them, since somebody may read by them.
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
