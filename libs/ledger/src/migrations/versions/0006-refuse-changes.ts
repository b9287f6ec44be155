import type { SqlMigration } from '../../postgres/sql-migration.interface.js';

const effect = 'entries may be changed and removed';

/**
 * The trigger with which an immutable table refuses to change or remove entries, with SQLSTATE
 * 23001. It fires once a statement, and never for an INSERT or COPY.
 *
 * @internal
 */
export const refuseChanges: SqlMigration = {
  number: 6,
  action: 'refuse_changes',
  functions: [
    {
      ending: 'immutable',
      head: '() RETURNS trigger LANGUAGE plpgsql',
      body: `
BEGIN
  RAISE EXCEPTION 'entries of a ledger are not changed: book a correction instead'
    USING ERRCODE = 'restrict_violation';
END`,
      effect,
    },
  ],
  triggers: [
    { ending: 'immutable', timing: 'BEFORE', events: ['UPDATE', 'DELETE', 'TRUNCATE'], effect },
  ],
  up: `
{function immutable}
{trigger immutable}
`,
  down: `DROP FUNCTION IF EXISTS {immutable}() CASCADE;`,
};
