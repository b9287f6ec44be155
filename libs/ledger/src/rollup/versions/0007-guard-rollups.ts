import type { SqlMigration, StoredFunction } from '../../postgres/sql-migration.interface.js';
import { SUMMARY_BODY, SUMMARY_HEAD } from '../summary-function-sql.js';

/**
 * One trigger for each event: an earlier version of the package looks for these names, and copies
 * them.
 */
const GUARDS = [
  { ending: 'rollupUpdate', event: 'UPDATE' },
  { ending: 'rollupDelete', event: 'DELETE' },
  { ending: 'rollupTruncate', event: 'TRUNCATE' },
] as const;
const EFFECT = 'entries may be changed, and rollups miss it';

/** Runs with its owner's rights, because other roles can't lock the state. */
const guard: Omit<StoredFunction, 'ending'> = {
  head: '() RETURNS trigger LANGUAGE plpgsql SECURITY DEFINER',
  body: `
DECLARE
  v_own regclass := to_regclass($name$ {schema}.{entries.name} $name$);
BEGIN
  IF v_own IS NULL THEN
    RAISE restrict_violation USING
      MESSAGE = format('%s or its schema was renamed: its rollups are of another table', TG_RELID::regclass),
      HINT = 'Run nestjs-ledger migrate first.';
  END IF;
  -- Another table bears the ledger's name now, or this one is its partition no longer.
  IF v_own <> TG_RELID
    AND NOT EXISTS (SELECT FROM pg_inherits WHERE inhrelid = TG_RELID AND inhparent = v_own)
  THEN
    RETURN NULL;
  END IF;
  PERFORM 1 FROM {schema}.{rollupState.name} s WHERE s.paused;
  IF FOUND THEN
    -- Locked until this transaction ends, so that a rebuild waits for it.
    PERFORM 1 FROM {schema}.{rollupState.name} s WHERE s.paused FOR SHARE;
  END IF;
  IF NOT FOUND THEN
    RAISE restrict_violation USING
      MESSAGE = format('entries of %s are not changed or deleted: it has rollups', TG_RELID::regclass),
      HINT = 'Record a correction instead. To change entries all the same: nestjs-ledger rollup --pause, '
        'then change them, then nestjs-ledger rollup --rebuild.';
  END IF;
  RETURN NULL;
END`,
  effect: EFFECT,
};

/**
 * The guard of a table with rollups, and the function of `summary()`. The guard replaces the
 * triggers of an earlier version, which recorded changes in `_rollup_marks`. Those records stay,
 * and refreshes process them.
 *
 * Rollups start again if the table or one of its partitions lacks a trigger of either kind, because
 * it may have been changed. They also start again if they name the table of a renamed schema.
 *
 * @internal
 */
export const guardRollups: SqlMigration = {
  number: 7,
  action: 'guard_rollups',
  functions: [
    ...GUARDS.map(({ ending }) => ({ ending, ...guard })),
    {
      ending: 'rollupSummary',
      head: SUMMARY_HEAD,
      body: SUMMARY_BODY,
      effect: 'summary() may be wrong, or adds up all rows',
    },
  ],
  triggers: GUARDS.map(({ ending, event }) => ({
    ending,
    timing: 'BEFORE',
    events: [event],
    effect: EFFECT,
  })),
  up: `
-- In the order in which a summary takes its locks: first the entries, then the state.
LOCK TABLE {entries} IN ACCESS EXCLUSIVE MODE;
ALTER TABLE {rollupState} ADD COLUMN IF NOT EXISTS paused boolean NOT NULL DEFAULT false;
DO $do$
BEGIN
  IF NOT EXISTS (SELECT FROM {rollupState} WHERE dimensions = {dimensionNames}) THEN
    RAISE object_not_in_prerequisite_state USING
      MESSAGE = 'rollups have other dimensions: create_rollups comes first';
  END IF;
  IF EXISTS (
    SELECT
    FROM (
      SELECT pg_catalog.to_regclass({entries.text})::oid AS oid
      UNION ALL
      SELECT inhrelid FROM pg_catalog.pg_inherits WHERE inhparent = pg_catalog.to_regclass({entries.text})
    ) AS r
    WHERE (
      SELECT count(*)
      FROM pg_catalog.pg_trigger t
      JOIN pg_catalog.pg_proc p ON p.oid = t.tgfoid
      JOIN pg_catalog.pg_class c ON c.oid = pg_catalog.to_regclass({entries.text})
      JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace
      WHERE t.tgrelid = r.oid AND t.tgenabled IN ('O', 'A')
        AND t.tgname IN ({rollupUpdate.raw}, {rollupDelete.raw}, {rollupTruncate.raw})
        AND pg_catalog.strpos(p.prosrc,
          pg_catalog.quote_ident(n.nspname) || '.' || {quotedTable}) > 0
    ) < 3
  ) THEN
    UPDATE {rollupState}
    SET closed_before = '-infinity', written_until = '-infinity', retired_before = '-infinity';
    DELETE FROM {rollupMarks};
    DELETE FROM {rollups};
  END IF;
END $do$;
{function rollupUpdate}
{function rollupDelete}
{function rollupTruncate}
{trigger rollupUpdate}
{trigger rollupDelete}
{trigger rollupTruncate}
{function rollupSummary}
`,
  down: `
DROP FUNCTION IF EXISTS {rollupUpdate}() CASCADE;
DROP FUNCTION IF EXISTS {rollupDelete}() CASCADE;
DROP FUNCTION IF EXISTS {rollupTruncate}() CASCADE;
DROP FUNCTION IF EXISTS {rollupSummary};
`,
};
