import type { LedgerTable } from '../entry/ledger-definition.js';
import { scriptOf, valuesOf } from '../postgres/migration-script.js';
import { planIndexes } from './plan-indexes.js';
import { tablePlan } from './plan-migrations.js';

/**
 * The script for the table of entries without declared columns, and for the indexes that the
 * definition requests.
 *
 * @param definition its indexes use built-in columns
 * @param schema effective schema
 * @internal
 */
export function createEntriesScript(definition: LedgerTable, schema?: string): string {
  const [first] = tablePlan(definition);
  return [first!, planIndexes(definition)]
    .map((planned) => scriptOf(planned, 'up', valuesOf(planned, definition, schema)))
    .join('\n');
}
