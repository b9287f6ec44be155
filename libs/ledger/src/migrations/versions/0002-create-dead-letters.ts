import type { SqlMigration } from '../../postgres/sql-migration.interface.js';

/** The table of dead letters. @internal */
export const createDeadLetters: SqlMigration = {
  number: 2,
  action: 'create_dead_letters',
  up: `
CREATE TABLE IF NOT EXISTS {deadLetters} (
  id uuid NOT NULL CONSTRAINT {deadLettersPrimaryKey.name} PRIMARY KEY,
  uuid uuid,
  reason text NOT NULL,
  sql_state text,
  detail text NOT NULL,
  attempts integer NOT NULL,
  queued_at timestamptz NOT NULL,
  dead_lettered_at timestamptz NOT NULL,
  entry jsonb NOT NULL,
  written_at timestamptz NOT NULL DEFAULT now()
);
CREATE INDEX IF NOT EXISTS {deadLettersUuidIndex.name} ON {deadLetters} (uuid);
`,
  down: `DROP TABLE IF EXISTS {deadLetters};`,
};
