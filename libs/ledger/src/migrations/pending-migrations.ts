import type { LedgerTable } from '../entry/ledger-definition.js';
import { loadCatalog, type QueryFunction } from '../postgres/load-catalog.js';
import type { PlannedMigration, TableExtension } from '../postgres/sql-migration.interface.js';
import type { TableNames } from '../postgres/table-names.js';
import { migrationName } from './ledger-migrations.js';
import { adoptDefinition, planMigrations } from './plan-migrations.js';
import { verifyTable } from './verify-table.js';

/** A migration that must run. @internal */
export interface PendingMigration {
  readonly name: string;
  readonly isRecorded: boolean;
  readonly planned: PlannedMigration;
  /** The definition for which it was planned. */
  readonly definition: LedgerTable;
}

/** The ledger and its names. @internal */
export interface PendingQuestion {
  readonly definition: LedgerTable;
  readonly names: TableNames;
  readonly extensions: readonly TableExtension[];
}

/**
 * A migration is pending until it is recorded, and again if one of its objects is missing or
 * changed: a function has a foreign body, a trigger is disabled. If a table or a column is missing
 * (after a partial restore of a backup), all migrations are pending: each may run twice.
 *
 * @internal
 */
export async function findPending(
  query: QueryFunction,
  { definition: given, names, extensions }: PendingQuestion,
): Promise<PendingMigration[]> {
  const catalog = await loadCatalog(query, [names.migrations, names.entries], names.schema);
  const [hasRecords, hasEntries] = catalog.tables.map((found) => found !== null);
  const rows = hasRecords ? await query(`SELECT name FROM ${names.sqlMigrations}`, []) : [];
  const recorded = new Set((rows as { name: string }[]).map(({ name }) => name));
  const definition = await adoptDefinition(query, given, names.schema, extensions);
  const all = planMigrations(definition, extensions).map((planned) => {
    const name = migrationName(definition, planned);
    return { name, isRecorded: recorded.has(name), planned, definition };
  });
  // Later migrations may build on the table.
  if (!hasEntries) return all;
  const isComplete = all.every(({ isRecorded }) => isRecorded);
  const faults = await verifyTable(query, definition, {
    extensions,
    connectionSchema: names.schema,
  });
  if (isComplete && faults.some(({ kind }) => kind === 'missing')) return all;
  const broken = new Set(faults.map(({ remadeBy }) => remadeBy));
  return all.filter(
    ({ isRecorded, planned }) => !isRecorded || broken.has(planned.migration.number),
  );
}
