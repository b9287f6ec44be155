import type { SqlMigration } from '../../postgres/sql-migration.interface.js';

/**
 * Formerly made the trigger of an immutable table, with a function without a number. Migration 6
 * always makes both, so only the name remains, which older databases have recorded.
 *
 * @internal
 */
export const makeImmutable: SqlMigration = {
  number: 5,
  action: 'make_immutable',
  up: '-- Migration 6 makes the trigger.',
  down: '-- Migration 6 drops the trigger.',
};
