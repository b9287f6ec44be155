import type { QueryFunction } from '../postgres/load-catalog.js';
import { quoteIdentifier } from '../postgres/quote-sql.js';
import type { TableNames } from '../postgres/table-names.js';

const SQL = `
  SELECT n.nspname AS schema
  FROM pg_catalog.pg_class c JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace
  WHERE c.relname = $1 AND c.relkind IN ('r', 'p') AND NOT c.relispartition
    AND n.nspname !~ '^pg_'
    AND EXISTS (SELECT FROM pg_catalog.pg_attribute a
      WHERE a.attrelid = c.oid AND a.attname = 'uuid' AND NOT a.attisdropped)
  ORDER BY 1 LIMIT 5`;

/**
 * The remedy if a ledger's table is in another schema than the one that was checked: `migrate`
 * would create a second table, which nothing writes to.
 *
 * @param migrate the command that creates the table
 * @returns the remedy; undefined if there is no such table anywhere
 * @throws the error of the query
 * @internal
 */
export async function remedyInOtherSchema(
  query: QueryFunction,
  { entries, sqlEntries }: TableNames,
  migrate: string,
): Promise<string | undefined> {
  const rows = (await query(SQL, [entries])) as { schema: string }[];
  const schemas = rows.map(({ schema }) => quoteIdentifier(schema));
  if (schemas.length === 0) return undefined;
  const where = `schema ${schemas.join(', ')}`;
  return (
    `there is a table ${entries} in ${where}: if it is this ledger's, give \`--connection-schema ` +
    `${schemas[0]}\`, or name the schema in its definition. \`${migrate}\` would create ` +
    `a second table, ${sqlEntries}`
  );
}
