/**
 * Runs one statement with parameters and returns its rows; implemented by a `QueryRunner` or a pg
 * client.
 *
 * @internal
 */
export type QueryFunction = (sql: string, parameters: unknown[]) => Promise<unknown>;

/** One column in the database. @internal */
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

/** A trigger of a table or of one of its partitions. @internal */
export interface FoundTrigger {
  readonly name: string;
  /** The table or partition, spelled as in `FoundTable.relations`. */
  readonly on: string;
  /** `pg_trigger.tgenabled`: `O` and `A` fire in an ordinary session. */
  readonly enabled: string;
  /** `pg_trigger.tgtype`: level, timing and events as bits. */
  readonly type: number;
  /** Has a WHEN, a list of columns or arguments. */
  readonly isConditional: boolean;
  readonly oldTable: string | null;
  readonly newTable: string | null;
  /** Name of the function that it calls. */
  readonly function: string;
  /** That function is in the table's schema. */
  readonly isOwnFunction: boolean;
}

/** A function in the schema of a table. @internal */
export interface FoundFunction {
  readonly name: string;
  readonly body: string;
}

/** A B-tree index of a table. @internal */
export interface FoundIndex {
  readonly name: string;
  /** Its columns in order; an empty text for an expression. */
  readonly columns: readonly string[];
  readonly isValid: boolean;
  /** Its rows: all, those with a value in its first column, or those of another condition. */
  readonly rows: 'all' | 'withValue' | 'some';
}

/** A table that inherits from another. @internal */
export interface FoundChild {
  /** Its name in SQL with the present search path. */
  readonly name: string;
  /** Columns of its unique indexes that are complete and valid. */
  readonly uniqueWith: readonly string[];
}

/** One table in the database. @internal */
export interface FoundTable {
  /** `pg_class.relkind`: `r` ordinary, `p` partitioned, else not a table. */
  readonly kind: string;
  readonly columns: readonly FoundColumn[];
  /** Columns that are unique by themselves: complete index, valid, not deferrable. */
  readonly uniqueColumns: readonly string[];
  /** Its own indexes, without those of its partitions. */
  readonly indexes: readonly FoundIndex[];
  /** Names of its rules ON INSERT. */
  readonly insertRules: readonly string[];
  /** Children by inheritance, without partitions. */
  readonly children: readonly FoundChild[];
  /** Those of the table, its partitions and children that are UNLOGGED, as named in SQL. */
  readonly unlogged: readonly string[];
  /** Names of its CHECK constraints. */
  readonly checks: readonly string[];
  /** The table and its partitions, as named in SQL with the present search path. */
  readonly relations: readonly string[];
  readonly triggers: readonly FoundTrigger[];
  /** Functions of its schema whose names begin with the table's. */
  readonly functions: readonly FoundFunction[];
  /** Its schema as spelled in the ledger's functions: quoted if necessary. */
  readonly quotedSchema: string;
}

/** Catalog data of the requested tables. @internal */
export interface Catalog {
  readonly role: string;
  /** False if the requested schema is missing; true if none was requested. */
  readonly hasSchema: boolean;
  /** The role may look into the schema. */
  readonly mayUseSchema: boolean;
  /** In the order of the requested names; null for a missing table. */
  readonly tables: readonly (FoundTable | null)[];
}

/** The table `c` and its partitions. */
const RELATIONS = `SELECT c.oid UNION ALL
            SELECT h.inhrelid FROM pg_catalog.pg_inherits h WHERE h.inhparent = c.oid`;

/**
 * The answer is one JSON text, so that no type parser of an application changes it. Names are
 * compared as values and not cast to regclass, which would fail without the right to use the
 * schema. With `quote_all_identifiers` on, types would be spelled `"uuid"`.
 */
const SQL = `
WITH spelling AS MATERIALIZED (
  SELECT pg_catalog.set_config('quote_all_identifiers', 'off', true)
)
SELECT pg_catalog.json_build_object(
  'role', current_user,
  'hasSchema', $2::text IS NULL
    OR EXISTS (SELECT FROM pg_catalog.pg_namespace WHERE nspname = $2::text),
  'mayUseSchema', $2::text IS NULL OR coalesce((
    SELECT pg_catalog.has_schema_privilege(oid, 'USAGE')
    FROM pg_catalog.pg_namespace WHERE nspname = $2::text), false),
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
        'indexes', coalesce((
          SELECT pg_catalog.json_agg(pg_catalog.json_build_object(
            'name', x.relname,
            'isValid', i.indisvalid,
            -- pg_get_expr would wait for a lock on the table.
            'rows', CASE
              WHEN i.indpred IS NULL THEN 'all'
              WHEN i.indpred::text ~ pg_catalog.format(
                '^{NULLTEST :arg {VAR :varno 1 :varattno %s [^{}]*} :nulltesttype 1 ', i.indkey[0])
                THEN 'withValue'
              ELSE 'some' END,
            'columns', (
              SELECT pg_catalog.json_agg(coalesce(a.attname, '') ORDER BY k.position)
              FROM pg_catalog.unnest(i.indkey::pg_catalog.int2[])
                WITH ORDINALITY AS k(attnum, position)
              LEFT JOIN pg_catalog.pg_attribute a
                ON a.attrelid = i.indrelid AND a.attnum = k.attnum AND k.attnum > 0))
            ORDER BY x.relname)
          FROM pg_catalog.pg_index i
          JOIN pg_catalog.pg_class x ON x.oid = i.indexrelid
          JOIN pg_catalog.pg_am m ON m.oid = x.relam AND m.amname = 'btree'
          WHERE i.indrelid = c.oid), '[]'::json),
        'insertRules', coalesce((
          SELECT pg_catalog.json_agg(w.rulename ORDER BY w.rulename) FROM pg_catalog.pg_rewrite w
          WHERE w.ev_class = c.oid AND w.ev_type = '3'), '[]'::json),
        'children', coalesce((
          SELECT pg_catalog.json_agg(pg_catalog.json_build_object(
            'name', h.inhrelid::pg_catalog.regclass::text,
            'uniqueWith', coalesce((
              SELECT pg_catalog.json_agg(a.attname)
              FROM pg_catalog.pg_index i
              JOIN pg_catalog.pg_attribute a ON a.attrelid = h.inhrelid
                AND a.attnum = ANY (i.indkey::pg_catalog.int2[])
              WHERE i.indrelid = h.inhrelid AND i.indisunique AND i.indisvalid
                AND i.indpred IS NULL), '[]'::json)) ORDER BY h.inhrelid)
          FROM pg_catalog.pg_inherits h WHERE h.inhparent = c.oid AND c.relkind = 'r'), '[]'::json),
        'unlogged', coalesce((
          SELECT pg_catalog.json_agg(u.oid::pg_catalog.regclass::text ORDER BY u.oid)
          FROM pg_catalog.pg_class u
          WHERE u.oid IN (SELECT r.oid FROM (${RELATIONS}) r) AND u.relpersistence = 'u'), '[]'::json),
        'checks', coalesce((
          SELECT pg_catalog.json_agg(k.conname) FROM pg_catalog.pg_constraint k
          WHERE k.conrelid = c.oid AND k.contype = 'c'), '[]'::json),
        'relations', (
          SELECT pg_catalog.json_agg(r.oid::pg_catalog.regclass::text ORDER BY r.oid <> c.oid, r.oid)
          FROM (${RELATIONS}) r),
        'triggers', coalesce((
          SELECT pg_catalog.json_agg(pg_catalog.json_build_object(
            'name', t.tgname,
            'on', t.tgrelid::pg_catalog.regclass::text,
            'enabled', t.tgenabled,
            'type', t.tgtype,
            'isConditional', t.tgqual IS NOT NULL OR t.tgnargs > 0 OR t.tgattr <> '',
            'oldTable', t.tgoldtable,
            'newTable', t.tgnewtable,
            'function', p.proname,
            'isOwnFunction', p.pronamespace = c.relnamespace))
          FROM pg_catalog.pg_trigger t JOIN pg_catalog.pg_proc p ON p.oid = t.tgfoid
          WHERE t.tgrelid IN (SELECT r.oid FROM (${RELATIONS}) r)
            AND NOT t.tgisinternal), '[]'::json),
        'functions', coalesce((
          SELECT pg_catalog.json_agg(pg_catalog.json_build_object(
            'name', p.proname, 'body', p.prosrc))
          FROM pg_catalog.pg_proc p
          WHERE p.pronamespace = c.relnamespace
            AND pg_catalog.starts_with(p.proname, c.relname || '_')), '[]'::json),
        'quotedSchema', pg_catalog.quote_ident(n.nspname)
      ) AS description
      FROM pg_catalog.pg_class c
      JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace
      WHERE c.relname = wanted.name AND CASE
        WHEN $2::text IS NULL THEN pg_catalog.pg_table_is_visible(c.oid)
        ELSE n.nspname = $2::text END
    ) AS found ON true)
)::text AS catalog
FROM spelling`;

/**
 * Reads everything that `verifyTable` compares, in one round trip.
 *
 * @param names tables in the schema, at least one
 * @param schema undefined: the search path decides
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
