import type { SqlMigration } from '../../postgres/sql-migration.interface.js';

/** Indexes for reads, with their columns. @internal */
export const ENTRY_INDEXES = [
  {
    columns: 'user_id,created_at',
    sql: 'CREATE INDEX IF NOT EXISTS {userIndex.name} ON {entries} (user_id, created_at)',
  },
  {
    columns: 'api_key_id,created_at',
    sql: `CREATE INDEX IF NOT EXISTS {apiKeyIndex.name} ON {entries} (api_key_id, created_at)
  WHERE api_key_id IS NOT NULL`,
  },
] as const;

/** The table of entries without declared columns, and its indexes. @internal */
export const createEntries: SqlMigration = {
  number: 1,
  action: 'create_entries',
  up: `
CREATE TABLE IF NOT EXISTS {entries} (
  uuid uuid NOT NULL CONSTRAINT {primaryKey.name} PRIMARY KEY,
  user_id {ids} NOT NULL,
  api_key_id {ids},
  service_id {ids},
  prompt_tokens integer NOT NULL,
  completion_tokens integer NOT NULL,
  direction text NOT NULL
    CONSTRAINT {directionCheck.name} CHECK (direction IN ('consume', 'supply')),
  memo text,
  attributes jsonb,
  corrects uuid,
  created_at timestamptz NOT NULL,
  written_at timestamptz NOT NULL DEFAULT now(),
  CONSTRAINT {tokensCheck.name}
    CHECK ((prompt_tokens >= 0 AND completion_tokens >= 0) OR corrects IS NOT NULL)
){partitionBy};
-- The partition that takes what no other one takes. A plain table has none, and stays plain.
DO $do$
BEGIN
  IF {isPartitioned} AND EXISTS (
    SELECT FROM pg_catalog.pg_partitioned_table
    WHERE partrelid = pg_catalog.to_regclass({entries.text}) AND partdefid = 0)
  THEN
    CREATE TABLE {defaultPartition} PARTITION OF {entries} DEFAULT;
  END IF;
END $do$;
${ENTRY_INDEXES.map(({ sql }) => `${sql};`).join('\n')}
`,
  down: `DROP TABLE IF EXISTS {entries};`,
};
