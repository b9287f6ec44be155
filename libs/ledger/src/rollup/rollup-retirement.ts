import type { PgSession } from '../postgres/pg-session.js';
import type { LedgerTablePath, RetirementHooks } from '../postgres/retirement-hooks.interface.js';
import { fillTemplate } from '../postgres/fill-template.js';
import { templateValues } from '../postgres/migration-script.js';

/**
 * Updates one row, for any number of removed entries: summaries take the remaining entries of that
 * time from the rows.
 */
const MOVE_RETIRED = `
UPDATE {rollupState}
SET retired_before = greatest(retired_before, $1::timestamptz)`;

/** Keeps the bucket that ends at the time itself, because its series begins there. */
const DELETE_RETIRED = `
DELETE FROM {rollups}
WHERE hi < (SELECT retired_before FROM {rollupState})`;

/** The rollups' work when a partition is retired; nothing without rollups. @internal */
export const rollupRetirement: RetirementHooks = {
  async detached(session, path, before) {
    if (!(await hasRollups(session, path))) return;
    await session.rows(fill(MOVE_RETIRED, path), [new Date(before).toISOString()]);
  },
  /** These buckets are not read any more. */
  async swept(session, path) {
    if (await hasRollups(session, path)) await session.rows(fill(DELETE_RETIRED, path));
  },
};

async function hasRollups(session: PgSession, path: LedgerTablePath): Promise<boolean> {
  const sql = 'SELECT pg_catalog.to_regclass({rollupState.text}) ::text AS name';
  const [row] = await session.rows(fill(sql, path));
  return row?.['name'] != null;
}

function fill(template: string, { schema, table }: LedgerTablePath): string {
  return fillTemplate(template, templateValues({ table, ids: 'bigint' }, schema));
}
