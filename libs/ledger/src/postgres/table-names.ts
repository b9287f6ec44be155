import { qualify } from './quote-sql.js';
import { NAME_ENDINGS } from '../entry/check-definition.js';
import type { LedgerTable } from '../entry/ledger-definition.js';

/** Names of a ledger's relations. `sql` names are quoted and qualified for SQL. @internal */
export interface TableNames {
  /** The schema, unquoted, or undefined: then the search path decides. */
  readonly schema: string | undefined;
  readonly entries: string;
  readonly deadLetters: string;
  readonly migrations: string;
  readonly sqlEntries: string;
  readonly sqlDefaultPartition: string;
  readonly sqlDeadLetters: string;
  readonly sqlMigrations: string;
  readonly sqlIdentity: string;
}

/**
 * The CHECK that a plain table has while `partitions convert` scans it. A leftover one refuses
 * every entry from its bound on.
 *
 * @internal
 */
export function conversionCheck(table: string): string {
  return `${table}_p0_until`;
}

/** @param connectionSchema the `schema` of the TypeORM options, if set @internal */
export function tableNames(table: LedgerTable, connectionSchema?: string): TableNames {
  const schema = table.schema ?? connectionSchema;
  const deadLetters = table.table + NAME_ENDINGS.deadLetters;
  const migrations = table.table + NAME_ENDINGS.migrations;
  return {
    schema,
    entries: table.table,
    deadLetters,
    migrations,
    sqlEntries: qualify(schema, table.table),
    sqlDefaultPartition: qualify(schema, table.table + NAME_ENDINGS.defaultPartition),
    sqlDeadLetters: qualify(schema, deadLetters),
    sqlMigrations: qualify(schema, migrations),
    sqlIdentity: qualify(schema, table.table + NAME_ENDINGS.identity),
  };
}
