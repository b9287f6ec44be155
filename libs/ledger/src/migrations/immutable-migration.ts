import { qualify, quoteIdentifier } from '../postgres/quote-sql.js';
import type { TableFault } from '../postgres/table-fault.interface.js';
import { guardSql } from '../postgres/guard-sql.js';
import { NAME_ENDINGS } from '../entry/check-definition.js';
import type { LedgerTable } from '../entry/ledger-definition.js';
import { eachPartitionSql } from '../postgres/default-partition-sql.js';
import { migrateCommand } from '../entry/ledger-command.js';
import type { FoundTable } from '../postgres/load-catalog.js';
import type { TableNames } from '../postgres/table-names.js';

/**
 * Statements of a trigger that refuses to change or remove entries, with SQLSTATE 23001. It fires
 * once a statement: a COPY meets nothing of it. Each may be run again.
 *
 * @internal
 */
export function createGuard(table: LedgerTable, names: TableNames): string[] {
  const { schema } = names;
  const name = table.table + NAME_ENDINGS.immutable;
  const anew = (on: string): string[] => [
    `DROP TRIGGER IF EXISTS ${quoteIdentifier(name)} ON ${on}`,
    guardSql({ table: table.table, schema }, on),
  ];
  return [
    `CREATE OR REPLACE FUNCTION ${qualify(schema, name)}() RETURNS trigger LANGUAGE plpgsql
      SET search_path TO pg_catalog, pg_temp AS $$
      BEGIN
        RAISE EXCEPTION 'entries of a ledger are not changed: book a correction instead'
          USING ERRCODE = 'restrict_violation';
      END $$`,
    ...anew(names.sqlEntries),
    // A statement that names a partition fires none of the table's.
    eachPartitionSql(names.sqlEntries, anew('{partition}')),
  ];
}

/** @internal */
export function dropGuard(table: LedgerTable, names: TableNames): string[] {
  const name = qualify(names.schema, table.table + NAME_ENDINGS.immutable);
  return [`DROP FUNCTION IF EXISTS ${name}() CASCADE`];
}

/**
 * Finds that a table is not immutable though its definition says so.
 *
 * @param definition with the schema that counts
 * @internal
 */
export function verifyGuard(
  definition: LedgerTable,
  found: FoundTable | null | undefined,
): TableFault[] {
  const { schema, table, immutable } = definition;
  const subject = table + NAME_ENDINGS.immutable;
  if (immutable !== true || !found || found.triggers.some(({ name }) => name === subject))
    return [];
  return [
    {
      kind: 'warning',
      isMigratable: true,
      subject,
      problem: `${qualify(schema, table)} is not immutable: its trigger ${subject} is missing`,
      remedy: `run \`${migrateCommand(definition)}\`, or set migrations: 'run'`,
    },
  ];
}
