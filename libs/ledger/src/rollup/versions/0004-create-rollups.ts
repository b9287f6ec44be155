import type { SqlMigration } from '../../postgres/sql-migration.interface.js';
import { BRIN_COLUMNS, LATE_COLUMNS } from '../rollup-layout.js';

/** Bytes of a table above which no migration makes an index on it, because writers would wait. */
const LARGE_BYTES = 256 * 1024 * 1024;

/**
 * The tables of the rollups with their indexes, and the two indexes of the entries. It runs once
 * for each set of dimensions, under its own name. With other dimensions the rollups start again.
 *
 * A large table gets the indexes of its entries from `nestjs-ledger rollup` instead.
 *
 * @internal
 */
export const createRollups: SqlMigration = {
  number: 4,
  action: 'create_rollups',
  up: `
-- Watermarks do not hold for tables that were dropped.
DO $do$
BEGIN
  IF pg_catalog.to_regclass({rollupState.text}) IS NOT NULL THEN
    -- A refresh takes this lock before any other.
    LOCK TABLE {rollupState} IN EXCLUSIVE MODE;
    IF pg_catalog.to_regclass({rollups.text}) IS NULL OR pg_catalog.to_regclass({rollupMarks.text}) IS NULL
    THEN
      UPDATE {rollupState}
      SET closed_before = '-infinity', written_until = '-infinity', retired_before = '-infinity';
    END IF;
  END IF;
END $do$;
CREATE TABLE IF NOT EXISTS {rollups} (
  series smallint NOT NULL,
  level smallint NOT NULL,
  key {ids},
  lo timestamptz NOT NULL,
  hi timestamptz NOT NULL,
  {bucketColumns},
  consumed numeric NOT NULL,
  supplied numeric NOT NULL,
  entries numeric NOT NULL
);
CREATE TABLE IF NOT EXISTS {rollupMarks} (
  created_at timestamptz NOT NULL,
  written_at timestamptz NOT NULL,
  user_id {ids},
  {bucketColumns},
  consumed numeric NOT NULL,
  supplied numeric NOT NULL,
  entries numeric NOT NULL
);
CREATE TABLE IF NOT EXISTS {rollupState} (
  id boolean NOT NULL DEFAULT true CONSTRAINT {rollupStatePrimaryKey.name} PRIMARY KEY CHECK (id),
  closed_before timestamptz NOT NULL DEFAULT '-infinity',
  written_until timestamptz NOT NULL DEFAULT '-infinity',
  rests_until timestamptz NOT NULL DEFAULT '-infinity',
  retired_before timestamptz NOT NULL DEFAULT '-infinity',
  dimensions text[] NOT NULL,
  paused boolean NOT NULL DEFAULT false
);
-- Neither has a key: a publication FOR ALL TABLES would refuse UPDATE and DELETE.
ALTER TABLE {rollups} REPLICA IDENTITY FULL;
ALTER TABLE {rollupMarks} REPLICA IDENTITY FULL;
{addColumns}CREATE INDEX IF NOT EXISTS {rollupSpan.name} ON {rollups} (series, level, key, hi);
CREATE INDEX IF NOT EXISTS {rollupMarksUser.name} ON {rollupMarks} (user_id, created_at);
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
    CREATE INDEX IF NOT EXISTS {createdBrin.name} ON {entries} ${BRIN_COLUMNS};
    CREATE INDEX IF NOT EXISTS {lateIndex.name} ON {entries} ${LATE_COLUMNS};
  END IF;
END $do$;
INSERT INTO {rollupState} (dimensions) VALUES ({dimensionNames}) ON CONFLICT DO NOTHING;
WITH changed AS (
  UPDATE {rollupState}
  SET dimensions = {dimensionNames}, closed_before = '-infinity', written_until = '-infinity',
    retired_before = '-infinity'
  WHERE dimensions <> {dimensionNames}
  RETURNING id
)
DELETE FROM {rollups} WHERE EXISTS (SELECT FROM changed);
`,
  down: `
DROP TABLE IF EXISTS {rollups}, {rollupMarks}, {rollupState};
DROP INDEX IF EXISTS {createdBrin}, {lateIndex};
`,
};
