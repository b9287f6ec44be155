import { NAME_ENDINGS } from '../entry/check-definition.js';
import type { LedgerTable } from '../entry/ledger-definition.js';
import { eachPartitionSql } from './default-partition-sql.js';
import { quoteIdentifier } from './table-names.js';
import type { TableNames } from './table-names.js';

/**
 * Statements of a trigger that refuses to change or remove entries, with SQLSTATE 23001. It fires
 * once a statement: a COPY meets nothing of it. Each may be run again.
 *
 * @internal
 */
export function createGuard(table: LedgerTable, names: TableNames): string[] {
  const { path, name, prefix } = guardNames(table, names);
  const anew = (on: string): string[] => [
    `DROP TRIGGER IF EXISTS ${name} ON ${on}`,
    guardSql({ table: table.table, prefix }, on),
  ];
  return [
    `CREATE OR REPLACE FUNCTION ${path}() RETURNS trigger LANGUAGE plpgsql
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

/** Statement that makes the trigger. @param on quoted @param prefix of the function @internal */
export function guardSql({ table, prefix }: { table: string; prefix: string }, on: string): string {
  const name = quoteIdentifier(table + NAME_ENDINGS.immutable);
  return `CREATE TRIGGER ${name} BEFORE UPDATE OR DELETE OR TRUNCATE ON ${on}
    FOR EACH STATEMENT EXECUTE FUNCTION ${prefix}${name}()`;
}

/** @internal */
export function dropGuard(table: LedgerTable, names: TableNames): string[] {
  return [`DROP FUNCTION IF EXISTS ${guardNames(table, names).path}() CASCADE`];
}

function guardNames(table: LedgerTable, { schema }: TableNames) {
  const name = quoteIdentifier(table.table + NAME_ENDINGS.immutable);
  const prefix = schema === undefined ? '' : `${quoteIdentifier(schema)}.`;
  return { name, prefix, path: prefix + name };
}
