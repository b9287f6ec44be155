import { settingsCommand } from '../postgres/transaction-settings.js';
import { CommandStatement } from '../postgres/command-statement.js';
import type { PgSession } from '../postgres/pg-session.js';

const TEXT_OID = 25;

/** A table's properties in the catalog. @internal */
export interface TableShape {
  /** Columns of the primary key, in its order; empty if there is no table or no key. */
  readonly key: readonly string[];
  /** True if the given constraint is a primary key, possibly of a partition. */
  readonly isPrimaryKey: boolean;
  /** True if the role has the privilege to insert, but policies decide row by row. */
  readonly hasRowPolicies: boolean;
}

/** One row per fact: its kind, and a name. */
const SHAPE_SQL = `
  SELECT 'key', a.attname::text
  FROM pg_catalog.pg_index i
  CROSS JOIN LATERAL unnest(i.indkey::int2[]) WITH ORDINALITY AS k (attnum, position)
  JOIN pg_catalog.pg_attribute a ON a.attrelid = i.indrelid AND a.attnum = k.attnum
  WHERE i.indrelid = to_regclass($1) AND i.indisprimary AND k.position <= i.indnkeyatts
  UNION ALL
  SELECT 'primary', c.relname::text
  FROM pg_catalog.pg_index i
  JOIN pg_catalog.pg_class c ON c.oid = i.indexrelid
  JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace
  WHERE i.indisprimary AND n.nspname = $2 AND c.relname = $3
  UNION ALL
  SELECT 'policies', '' WHERE row_security_active(to_regclass($1))
  AND has_table_privilege(to_regclass($1), 'INSERT')`;

/**
 * Reads the catalog, without a lock on the table.
 *
 * @param constraint the one named by an error
 * @throws StatementError
 * @internal
 */
export async function readTableShape(
  session: PgSession,
  sqlTable: string,
  constraint: { schema: string | undefined; name: string | undefined },
): Promise<TableShape> {
  const parameters = [sqlTable, constraint.schema ?? '', constraint.name ?? ''].map((text) => ({
    oid: TEXT_OID,
    value: Buffer.from(text),
  }));
  const commands = [settingsCommand(session.deadline, false), { sql: SHAPE_SQL, parameters }];
  const results = await session.run(new CommandStatement(commands));
  const facts = results[1]?.rows ?? [];
  const names = (kind: string): string[] =>
    facts.filter(([found]) => found === kind).map(([, name]) => name ?? '');
  return {
    key: names('key'),
    isPrimaryKey: names('primary').length > 0,
    hasRowPolicies: names('policies').length > 0,
  };
}
