import type { LedgerTable } from '../entry/ledger-definition.js';
import { fillTemplate } from '../postgres/fill-template.js';
import { templateValues } from '../postgres/migration-script.js';
import type { PgSession } from '../postgres/pg-session.js';
import { withShortLock } from '../postgres/short-lock.js';

/** Drops the guard first: from here on entries may be changed. */
const DROP = [
  'DROP FUNCTION IF EXISTS {rollupUpdate}() CASCADE',
  'DROP FUNCTION IF EXISTS {rollupDelete}() CASCADE',
  'DROP FUNCTION IF EXISTS {rollupTruncate}() CASCADE',
  'DROP FUNCTION IF EXISTS {rollupSummary}',
  'DROP TABLE IF EXISTS {rollups}, {rollupMarks}, {rollupState}',
  'DROP INDEX IF EXISTS {createdBrin}, {lateIndex}',
];

/** Otherwise a later definition with rollups would seem to have them. */
const FORGET = `DELETE FROM {migrations} WHERE name ~ ':(create|guard)_rollups(\\+[^:]*)?:[0-9]+$'`;

/**
 * Drops a ledger's rollups and all their objects. Entries stay. Running ledgers add up the rows
 * from now on.
 *
 * @param definition with its effective schema
 * @returns false if there were none
 * @throws any error of the query; 42501 if the role is not the tables' owner
 * @internal
 */
export async function dropRollups(session: PgSession, definition: LedgerTable): Promise<boolean> {
  const values = templateValues(definition, definition.schema);
  const run = (template: string): Promise<Record<string, string | null>[]> =>
    session.rows(fillTemplate(template, values));
  const isThere = async (name: string): Promise<boolean> => {
    const [row] = await run(`SELECT pg_catalog.to_regclass({${name}.text})::text AS name`);
    return row?.['name'] != null;
  };
  if (!(await isThere('rollupState'))) return false;
  await withShortLock(session, async () => {
    for (const statement of DROP) await run(statement);
    if (await isThere('migrations')) await run(FORGET);
  });
  return true;
}
