import type { SqlMigration } from '../../postgres/sql-migration.interface.js';

/**
 * One random id next to the entries, by which a journal recognises the table of its rows: names and
 * addresses may equal those of a test database.
 *
 * @internal
 */
export const createIdentity: SqlMigration = {
  number: 8,
  action: 'create_identity',
  up: `
CREATE TABLE IF NOT EXISTS {identity} (
  id uuid NOT NULL CONSTRAINT {identityPrimaryKey.name} PRIMARY KEY,
  created_at timestamptz NOT NULL DEFAULT now()
);
INSERT INTO {identity} (id) SELECT gen_random_uuid() WHERE NOT EXISTS (SELECT FROM {identity});
`,
  down: `DROP TABLE IF EXISTS {identity};`,
};
