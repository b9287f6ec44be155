import type { SqlMigration } from '../../postgres/sql-migration.interface.js';

/**
 * Once made the trigger of an immutable table, by a function without a number. Migration 6 makes both
 * in any case, so only the name is left, which older databases have on record.
 *
 * @internal
 */
export const makeImmutable: SqlMigration = {
  number: 5,
  action: 'make_immutable',
  up: '-- Migration 6 makes the trigger.',
  down: '-- Migration 6 drops the trigger.',
};
