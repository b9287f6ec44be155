import type { QueryRunner } from 'typeorm';
import type { LedgerTable } from '../entry/ledger-definition.js';
import { sideMigrations, tableMigrations } from './ledger-migrations.js';
import type { MigrationConstructor } from './ledger-migrations.js';
import { loadCatalog } from '../postgres/load-catalog.js';
import type { TableNames } from '../postgres/table-names.js';
import { verifyTable } from './verify-table.js';

/** A migration that is to run. @internal */
export interface PendingMigration {
  readonly name: string;
  readonly isRecorded: boolean;
  /** Nothing can be written without it. */
  readonly isNeeded: boolean;
  readonly up: (runner: QueryRunner) => Promise<unknown>;
}

/**
 * A migration is pending until it is recorded. If something that migrations make is gone (a table
 * was dropped, a backup was restored in part), all are: each may run twice. If only something is that
 * entries can be written without, those are that make it.
 *
 * @internal
 */
export async function findPending(
  runner: QueryRunner,
  { definition, names }: { readonly definition: LedgerTable; readonly names: TableNames },
): Promise<PendingMigration[]> {
  const query = (sql: string, parameters: unknown[]): Promise<unknown> =>
    runner.query(sql, parameters);
  const catalog = await loadCatalog(query, [names.migrations, names.entries], names.schema);
  const [isThere, hasEntries] = catalog.tables.map((found) => found !== null);
  const answer: unknown = isThere
    ? await runner.query(`SELECT name FROM ${names.sqlMigrations}`)
    : [];
  const rows = answer as { name: string }[];
  const recorded = new Set(rows.map(({ name }) => name));
  const pendingOf = (isNeeded: boolean) => (Migration: MigrationConstructor) => {
    const instance = new Migration();
    const { name } = instance;
    return { name, isRecorded: recorded.has(name), isNeeded, up: instance.up.bind(instance) };
  };
  const side = sideMigrations(definition).map(pendingOf(false));
  const all = [...tableMigrations(definition).map(pendingOf(true)), ...side];
  const unrecorded = all.filter(({ isRecorded }) => !isRecorded);
  // What is new may build on the table.
  if (unrecorded.length > 0) return hasEntries ? unrecorded : all;
  const faults = await verifyTable(query, definition, { connectionSchema: names.schema });
  if (faults.some(({ kind }) => kind === 'missing')) return all;
  return faults.some(({ isMigratable }) => isMigratable) ? side : [];
}
