import type { TableExtension } from '../postgres/sql-migration.interface.js';
import { adoptRollups } from './adopt-rollups.js';
import { planRollups } from './plan-rollups.js';
import { verifyRollups } from './verify-rollups.js';

/** The additions of rollups to a ledger's tables. @internal */
export const rollupExtension: TableExtension = {
  plan: planRollups,
  adopt: adoptRollups,
  verify: verifyRollups,
};
