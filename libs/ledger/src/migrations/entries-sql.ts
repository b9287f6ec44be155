import type { LedgerTable } from '../entry/ledger-definition.js';
import { fillTemplate } from '../postgres/fill-template.js';
import { scriptOf, templateValues, valuesOf } from '../postgres/migration-script.js';
import { tablePlan } from './plan-migrations.js';
import { ENTRY_INDEXES } from './versions/0001-create-entries.js';

/**
 * The script that makes the table of entries without declared columns, and its indexes.
 *
 * @param schema that counts
 * @internal
 */
export function createEntriesScript(definition: LedgerTable, schema?: string): string {
  const [first] = tablePlan(definition);
  return scriptOf(first!, 'up', valuesOf(first!, definition, schema));
}

/**
 * The indexes that reads go by: their columns as the catalog lists them, and the statement that makes
 * them.
 *
 * @param schema that counts
 * @internal
 */
export function entryIndexes(
  definition: LedgerTable,
  schema: string | undefined,
): { columns: string; sql: string }[] {
  const values = templateValues(definition, schema);
  return ENTRY_INDEXES.map(({ columns, sql }) => ({ columns, sql: fillTemplate(sql, values) }));
}
