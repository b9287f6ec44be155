import { NAME_ENDINGS } from '../entry/check-definition.js';

/**
 * Runs one statement with parameters and gives its rows; that of a `QueryRunner` or a pg client.
 *
 * @internal
 */
export type QueryFunction = (sql: string, parameters: unknown[]) => Promise<unknown>;

/** One column as the server has it. @internal */
export interface FoundColumn {
  readonly name: string;
  readonly type: string;
  readonly isNullable: boolean;
  /** A default, an identity or a generated value. */
  readonly hasDefault: boolean;
  readonly isGenerated: boolean;
  readonly mayInsert: boolean;
  readonly maySelect: boolean;
}

/** A trigger, or the function of a ledger's summary. @internal */
export interface FoundFunction {
  readonly name: string;
  /** Its text names the table as that is called now. */
  readonly namesTable: boolean;
  /** Names of its parameters. */
  readonly parameters: readonly string[];
}

/** One table as the server has it. @internal */
export interface FoundTable {
  /** `pg_class.relkind`: `r` ordinary, `p` partitioned, else something that is no table. */
  readonly kind: string;
  readonly columns: readonly FoundColumn[];
  /** Columns that are unique by themselves: whole index, valid, not deferrable. */
  readonly uniqueColumns: readonly string[];
  /** Names of its CHECK constraints. */
  readonly checks: readonly string[];
  readonly triggers: readonly FoundFunction[];
  /** The function of its rollups, in the same schema. */
  readonly summaries: readonly FoundFunction[];
}

/** What the catalog says of the tables asked for. @internal */
export interface Catalog {
  readonly role: string;
  /** False if the schema is missing too; true if no schema was asked for. */
  readonly hasSchema: boolean;
  /** May look into the schema. */
  readonly mayUseSchema: boolean;
  readonly mayMakeTemporaryTables: boolean;
  readonly database: string;
  /** In the order of the names asked for; null for one that is not there. */
  readonly tables: readonly (FoundTable | null)[];
}

/**
 * The answer is one JSON text, so that no type parser of an application stands in between. Names
 * are compared as values, not cast to regclass: that would fail where the schema may not be used.
 */
const SQL = `
SELECT pg_catalog.json_build_object(
  'role', current_user,
  'database', current_database(),
  'hasSchema', $2::text IS NULL
    OR EXISTS (SELECT FROM pg_catalog.pg_namespace WHERE nspname = $2::text),
  'mayUseSchema', $2::text IS NULL OR coalesce((
    SELECT pg_catalog.has_schema_privilege(oid, 'USAGE')
    FROM pg_catalog.pg_namespace WHERE nspname = $2::text), false),
  'mayMakeTemporaryTables',
    pg_catalog.has_database_privilege(current_database(), 'TEMPORARY'),
  'tables', (SELECT pg_catalog.json_agg(found.description ORDER BY wanted.position)
    FROM pg_catalog.unnest($1::text[]) WITH ORDINALITY AS wanted(name, position)
    LEFT JOIN LATERAL (
      SELECT pg_catalog.json_build_object(
        'kind', c.relkind,
        'columns', coalesce((
          SELECT pg_catalog.json_agg(pg_catalog.json_build_object(
            'name', a.attname,
            'type', pg_catalog.format_type(a.atttypid, a.atttypmod),
            'isNullable', NOT a.attnotnull,
            'hasDefault', a.atthasdef OR a.attidentity <> '',
            'isGenerated', a.attgenerated <> '',
            'mayInsert', pg_catalog.has_column_privilege(c.oid, a.attnum, 'INSERT'),
            'maySelect', pg_catalog.has_column_privilege(c.oid, a.attnum, 'SELECT')))
          FROM pg_catalog.pg_attribute a
          WHERE a.attrelid = c.oid AND a.attnum > 0 AND NOT a.attisdropped), '[]'::json),
        'uniqueColumns', coalesce((
          SELECT pg_catalog.json_agg(a.attname)
          FROM pg_catalog.pg_index i
          JOIN pg_catalog.pg_attribute a ON a.attrelid = c.oid AND a.attnum = i.indkey[0]
          WHERE i.indrelid = c.oid AND i.indisunique AND i.indisvalid AND i.indimmediate
            AND i.indnkeyatts = 1 AND i.indpred IS NULL), '[]'::json),
        'checks', coalesce((
          SELECT pg_catalog.json_agg(k.conname) FROM pg_catalog.pg_constraint k
          WHERE k.conrelid = c.oid AND k.contype = 'c'), '[]'::json),
        'triggers', coalesce((
          SELECT pg_catalog.json_agg(${functionSql('t.tgname')})
          FROM pg_catalog.pg_trigger t JOIN pg_catalog.pg_proc p ON p.oid = t.tgfoid
          WHERE t.tgrelid = c.oid AND NOT t.tgisinternal), '[]'::json),
        'summaries', coalesce((
          SELECT pg_catalog.json_agg(${functionSql('p.proname')}) FROM pg_catalog.pg_proc p
          WHERE p.pronamespace = c.relnamespace
            AND p.proname = c.relname || '${NAME_ENDINGS.rollupSummary}'), '[]'::json)
      ) AS description
      FROM pg_catalog.pg_class c
      JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace
      WHERE c.relname = wanted.name AND CASE
        WHEN $2::text IS NULL THEN pg_catalog.pg_table_is_visible(c.oid)
        ELSE n.nspname = $2::text END
    ) AS found ON true)
)::text AS catalog`;

function functionSql(name: string): string {
  return `pg_catalog.json_build_object('name', ${name},
    'namesTable', ${namesTableSql('p', 'n', 'c')},
    'parameters', coalesce(p.proargnames, '{}'))`;
}

/**
 * Asks whether the text of a ledger's function names the table as it is called now, which it does
 * not any more if a schema was renamed.
 *
 * @param fn alias of pg_proc @param schema alias of pg_namespace @param table alias of pg_class
 * @internal
 */
export function namesTableSql(fn: string, schema: string, table: string): string {
  const name = `'"' || pg_catalog.replace(${table}.relname, '"', '""') || '"'`;
  return `pg_catalog.strpos(${fn}.prosrc,
    pg_catalog.quote_ident(${schema}.nspname) || '.' || ${name}) > 0`;
}

/**
 * Asks the server for all that `verifyTable` compares, in one round trip.
 *
 * @param names tables in the schema, at least one
 * @param schema undefined: wherever the search path finds them
 * @internal
 */
export async function loadCatalog(
  query: QueryFunction,
  names: readonly string[],
  schema: string | undefined,
): Promise<Catalog> {
  const rows = (await query(SQL, [names, schema ?? null])) as [{ catalog: string }];
  return JSON.parse(rows[0].catalog) as Catalog;
}
