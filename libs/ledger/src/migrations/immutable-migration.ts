import { NAME_ENDINGS } from '../entry/check-definition.js';
import type { LedgerTable } from '../entry/ledger-definition.js';
import { quoteIdentifier } from './table-names.js';
import type { TableNames } from './table-names.js';

/**
 * Statements of a trigger that refuses to change or remove entries, with SQLSTATE 23001. It fires
 * once a statement: a COPY meets nothing of it. Each may be run again.
 *
 * @internal
 */
export function createGuard(table: LedgerTable, names: TableNames): string[] {
  const { path, name } = guardNames(table, names);
  return [
    `CREATE OR REPLACE FUNCTION ${path}() RETURNS trigger LANGUAGE plpgsql
      SET search_path TO pg_catalog, pg_temp AS $$
      BEGIN
        RAISE EXCEPTION 'entries of a ledger are not changed: book a correction instead'
          USING ERRCODE = 'restrict_violation';
      END $$`,
    `DROP TRIGGER IF EXISTS ${name} ON ${names.sqlEntries}`,
    `CREATE TRIGGER ${name} BEFORE UPDATE OR DELETE OR TRUNCATE ON ${names.sqlEntries}
      FOR EACH STATEMENT EXECUTE FUNCTION ${path}()`,
  ];
}

/** @internal */
export function dropGuard(table: LedgerTable, names: TableNames): string[] {
  return [`DROP FUNCTION IF EXISTS ${guardNames(table, names).path}() CASCADE`];
}

function guardNames(table: LedgerTable, { schema }: TableNames): { path: string; name: string } {
  const name = quoteIdentifier(table.table + NAME_ENDINGS.immutable);
  return { name, path: schema === undefined ? name : `${quoteIdentifier(schema)}.${name}` };
}
