import type { TableExtension } from '../postgres/sql-migration.interface.js';
import { adoptRollups } from './adopt-rollups.js';
import { planRollups } from './plan-rollups.js';
import { verifyRollups } from './verify-rollups.js';

/** What rollups add to the tables of a ledger. @internal */
export const rollupExtension: TableExtension = {
  plan: planRollups,
  adopt: adoptRollups,
  verify: verifyRollups,
};
