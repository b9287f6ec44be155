import { NAME_ENDINGS } from '../entry/check-definition.js';
import { qualify, quoteIdentifier } from './quote-sql.js';

/** Statement that makes the trigger. @param on quoted @internal */
export function guardSql(
  { table, schema }: { table: string; schema: string | undefined },
  on: string,
): string {
  const name = table + NAME_ENDINGS.immutable;
  return `CREATE TRIGGER ${quoteIdentifier(name)} BEFORE UPDATE OR DELETE OR TRUNCATE ON ${on}
    FOR EACH STATEMENT EXECUTE FUNCTION ${qualify(schema, name)}()`;
}
