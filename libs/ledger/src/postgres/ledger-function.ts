import { literalSql, quoteIdentifier, quoteBody } from './quote-sql.js';
import { NAME_ENDINGS } from '../entry/check-definition.js';
import type { LedgerTable } from '../entry/ledger-definition.js';
import type { TableNames } from './table-names.js';

/** Stands for the schema of the ledger in a function's text until the server fills it in. @internal */
export const SCHEMA = '{schema of the ledger}';

/** One of the ledger's own relations as a function's text names it. @internal */
export function ownRelation(table: LedgerTable, ending?: keyof typeof NAME_ENDINGS): string {
  const name = table.table + (ending === undefined ? '' : NAME_ENDINGS[ending]);
  return `${SCHEMA}.${quoteIdentifier(name)}`;
}

/**
 * The table that bears the ledger's name now, as an expression in a function's text; NULL if none
 * does. It is another one than before where that was renamed, or its schema was.
 *
 * @internal
 */
export function presentTable(table: LedgerTable): string {
  return `to_regclass(${quoteBody(ownRelation(table))})`;
}

/**
 * Statement that defines a PL/pgSQL function whose text names relations by `ownRelation`. Their
 * schema is asked for when the statement runs, so that no search path of a caller decides it later.
 *
 * @param head all before the body: `name(arguments) RETURNS … LANGUAGE plpgsql …`
 * @internal
 */
export function defineFunction({ sqlEntries }: TableNames, head: string, body: string): string {
  const definition = `CREATE OR REPLACE FUNCTION ${head}
    SET search_path TO pg_catalog, pg_temp AS ${quoteBody(body)}`;
  return `DO ${quoteBody(` BEGIN
    EXECUTE pg_catalog.replace(${quoteBody(definition)}, '${SCHEMA}',
      (SELECT pg_catalog.quote_ident(n.nspname) FROM pg_catalog.pg_class c
       JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace
       WHERE c.oid = pg_catalog.to_regclass(${literalSql(sqlEntries)})));
  END `)}`;
}
