import { columnName } from '../entry/columns.js';
import type { LedgerTable } from '../entry/ledger-definition.js';
import type { QueryFunction } from '../postgres/load-catalog.js';
import type { PlannedMigration, TableExtension } from '../postgres/sql-migration.interface.js';
import { quoteIdentifier } from '../postgres/quote-sql.js';
import { planIndexes } from './plan-indexes.js';
import { createEntries } from './versions/0001-create-entries.js';
import { createDeadLetters } from './versions/0002-create-dead-letters.js';
import { addColumn } from './versions/0003-add-column.js';
import { makeImmutable } from './versions/0005-make-immutable.js';
import { refuseChanges } from './versions/0006-refuse-changes.js';
import { createIdentity } from './versions/0008-create-identity.js';

/** The migrations that every ledger needs, and those of an immutable one. @internal */
export function tablePlan(definition: LedgerTable): PlannedMigration[] {
  const isPartitioned = definition.partition !== undefined;
  return [
    {
      migration: createEntries,
      values: () => ({
        partitionBy: isPartitioned ? ' PARTITION BY RANGE (uuid)' : '',
        isPartitioned: String(isPartitioned),
      }),
      isNeeded: true,
    },
    { migration: createDeadLetters, isNeeded: true },
    ...Object.entries(definition.columns).map(([field, type]) => ({
      migration: addColumn,
      action: `add_${columnName(field)}`,
      values: () => ({ column: quoteIdentifier(columnName(field)), type }),
      isNeeded: true,
    })),
    ...immutablePlan(definition),
    { migration: createIdentity },
    planIndexes(definition),
  ];
}

/** @internal */
export function immutablePlan({ immutable }: LedgerTable): PlannedMigration[] {
  return immutable === true ? [{ migration: makeImmutable }, { migration: refuseChanges }] : [];
}

/**
 * All migrations of a ledger in execution order.
 *
 * @param extensions additions of optional folders
 * @internal
 */
export function planMigrations(
  definition: LedgerTable,
  extensions: readonly TableExtension[],
): PlannedMigration[] {
  return [
    ...tablePlan(definition),
    ...extensions.flatMap((extension) => extension.plan(definition)),
  ].sort((a, b) => a.migration.number - b.migration.number);
}

/**
 * The definition required by a database: an optional folder may find more there than the given
 * definition requests.
 *
 * @param schema effective schema
 * @internal
 */
export async function adoptDefinition(
  query: QueryFunction,
  definition: LedgerTable,
  schema: string | undefined,
  extensions: readonly TableExtension[],
): Promise<LedgerTable> {
  let adopted: LedgerTable = { ...definition, schema };
  for (const extension of extensions) {
    adopted = (await extension.adopt?.(query, adopted)) ?? adopted;
  }
  // Names of migrations contain the schema as given.
  return { ...adopted, schema: definition.schema };
}
