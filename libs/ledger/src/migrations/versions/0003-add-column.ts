import type { SqlMigration } from '../../postgres/sql-migration.interface.js';

/**
 * One declared column. It runs once for each, under its own name, so that columns may be declared
 * in any order; all of them share its number.
 *
 * @internal
 */
export const addColumn: SqlMigration = {
  number: 3,
  action: 'add_column',
  up: `ALTER TABLE {entries} ADD COLUMN IF NOT EXISTS {column} {type};`,
  down: `ALTER TABLE IF EXISTS {entries} DROP COLUMN IF EXISTS {column};`,
};
