import { columnList } from '../postgres/quote-sql.js';
import type { PgSession } from '../postgres/pg-session.js';
import { storedColumns } from './create-partitions.js';
import type { TablePath } from './partition-sql.js';

/** Properties of a plain table to restore on the table that takes its name. @internal */
export interface PlainTable {
  readonly path: TablePath;
  readonly columnList: string;
  /** Primary key and unique constraints: statements that add them. */
  readonly constraints: readonly { readonly definition: string }[];
  /** All indexes; the definition is null if a constraint makes the index. */
  readonly indexes: readonly { readonly name: string; readonly definition: string | null }[];
  readonly triggers: readonly { readonly name: string; readonly definition: string }[];
  /** Owner and rights, as statements. */
  readonly grants: readonly string[];
  /**
   * Statements that let the table own the sequences of its `serial` columns, after its owner is
   * set.
   */
  readonly sequences: readonly string[];
  /** Properties that can't be moved, each a sentence. */
  readonly obstacles: readonly string[];
}

const SQL = `
SELECT pg_catalog.json_build_object(
  'schema', n.nspname, 'table', c.relname, 'kind', c.relkind,
  'constraints', (SELECT coalesce(pg_catalog.json_agg(pg_catalog.json_build_object(
      'type', k.contype, 'name', k.conname,
      'definition', pg_catalog.format('ALTER TABLE %I.%I ADD CONSTRAINT %I %s',
        n.nspname, c.relname, k.conname, pg_catalog.pg_get_constraintdef(k.oid)),
      'onKey', k.conkey = ARRAY(SELECT attnum FROM pg_catalog.pg_attribute
        WHERE attrelid = c.oid AND attname = 'uuid'))), '[]'::json)
    FROM pg_catalog.pg_constraint k WHERE k.conrelid = c.oid AND k.contype IN ('p','u','x','f')),
  'indexes', (SELECT coalesce(pg_catalog.json_agg(pg_catalog.json_build_object(
      'name', x.relname,
      'isUnique', i.indisunique,
      'isConstraint', k.oid IS NOT NULL,
      'definition', pg_catalog.pg_get_indexdef(i.indexrelid))), '[]'::json)
    FROM pg_catalog.pg_index i JOIN pg_catalog.pg_class x ON x.oid = i.indexrelid
    LEFT JOIN pg_catalog.pg_constraint k ON k.conindid = i.indexrelid AND k.contype IN ('p','u','x')
    WHERE i.indrelid = c.oid),
  'triggers', (SELECT coalesce(pg_catalog.json_agg(pg_catalog.json_build_object(
      'name', t.tgname,
      'isRowWithTable', (t.tgtype & 1) = 1 AND (t.tgoldtable IS NOT NULL OR t.tgnewtable IS NOT NULL),
      'isEnabled', t.tgenabled = 'O',
      'definition', pg_catalog.pg_get_triggerdef(t.oid))), '[]'::json)
    FROM pg_catalog.pg_trigger t WHERE t.tgrelid = c.oid AND NOT t.tgisinternal),
  'grants', (SELECT coalesce(pg_catalog.json_agg(pg_catalog.format('GRANT %s ON %I.%I TO %s%s',
      a.privilege_type, n.nspname, c.relname,
      CASE a.grantee WHEN 0 THEN 'PUBLIC'
        ELSE pg_catalog.quote_ident(pg_catalog.pg_get_userbyid(a.grantee)) END,
      CASE WHEN a.is_grantable THEN ' WITH GRANT OPTION' ELSE '' END)), '[]'::json)
    FROM pg_catalog.aclexplode(c.relacl) a WHERE a.grantee <> c.relowner),
  'owner', pg_catalog.format('ALTER TABLE %I.%I OWNER TO %I',
    n.nspname, c.relname, pg_catalog.pg_get_userbyid(c.relowner)),
  'sequences', (SELECT coalesce(pg_catalog.json_agg(pg_catalog.format(
      'ALTER SEQUENCE %I.%I OWNED BY %I.%I.%I',
      n.nspname, q.relname, n.nspname, c.relname, a.attname)), '[]'::json)
    FROM pg_catalog.pg_depend d
    JOIN pg_catalog.pg_class q ON q.oid = d.objid AND q.relkind = 'S'
    JOIN pg_catalog.pg_attribute a ON a.attrelid = c.oid AND a.attnum = d.refobjsubid
    WHERE d.classid = 'pg_catalog.pg_class'::regclass AND d.refobjid = c.oid
      AND d.refclassid = 'pg_catalog.pg_class'::regclass AND d.deptype = 'a'),
  'views', (SELECT pg_catalog.count(DISTINCT r.ev_class) FROM pg_catalog.pg_depend d
    JOIN pg_catalog.pg_rewrite r ON r.oid = d.objid
    WHERE d.refobjid = c.oid AND d.classid = 'pg_catalog.pg_rewrite'::regclass),
  'references', (SELECT pg_catalog.count(*) FROM pg_catalog.pg_constraint
    WHERE confrelid = c.oid AND contype = 'f'),
  'identities', (SELECT coalesce(pg_catalog.json_agg(attname), '[]'::json)
    FROM pg_catalog.pg_attribute WHERE attrelid = c.oid AND attidentity <> ''),
  'columnGrants', (SELECT pg_catalog.count(*) FROM pg_catalog.pg_attribute
    WHERE attrelid = c.oid AND attacl IS NOT NULL),
  'policies', (SELECT pg_catalog.count(*) FROM pg_catalog.pg_policy WHERE polrelid = c.oid)
    + c.relrowsecurity::int,
  'publications', (SELECT pg_catalog.count(*) FROM pg_catalog.pg_publication_rel
    WHERE prrelid = c.oid),
  'parents', (SELECT pg_catalog.count(*) FROM pg_catalog.pg_inherits
    WHERE inhrelid = c.oid OR inhparent = c.oid),
  'taken', (SELECT pg_catalog.count(*) FROM pg_catalog.pg_class o
    WHERE o.relnamespace = c.relnamespace AND o.relname IN (c.relname || '_p0', c.relname || '_default'))
)::text AS found
FROM pg_catalog.pg_class c JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace
WHERE c.oid = pg_catalog.to_regclass($1)`;

interface Found {
  readonly schema: string;
  readonly table: string;
  readonly kind: string;
  readonly constraints: { type: string; name: string; definition: string; onKey: boolean }[];
  readonly indexes: {
    name: string;
    isUnique: boolean;
    isConstraint: boolean;
    definition: string;
  }[];
  readonly triggers: {
    name: string;
    isRowWithTable: boolean;
    isEnabled: boolean;
    definition: string;
  }[];
  readonly grants: string[];
  readonly owner: string;
  readonly sequences: string[];
  readonly views: number;
  readonly references: number;
  readonly identities: string[];
  readonly columnGrants: number;
  readonly policies: number;
  readonly publications: number;
  readonly parents: number;
  readonly taken: number;
}

/**
 * Reads a table's dependent objects from the catalog.
 *
 * @returns undefined if there is no such table
 * @internal
 */
export async function readPlainTable(
  session: PgSession,
  sqlTable: string,
): Promise<PlainTable | undefined> {
  const [row] = await session.rows<{ found: string }>(SQL, [sqlTable]);
  if (row === undefined) return undefined;
  const found = JSON.parse(row.found) as Found;
  return {
    path: { schema: found.schema, table: found.table },
    columnList: columnList(await storedColumns(session, sqlTable)),
    constraints: found.constraints,
    indexes: found.indexes.map(({ name, isConstraint, definition }) => ({
      name,
      definition: isConstraint ? null : definition,
    })),
    triggers: found.triggers,
    grants: [found.owner, ...found.grants],
    sequences: found.sequences,
    obstacles: obstaclesOf(found),
  };
}

/** Objects that would be lost or left with the old table, and need a person. */
function obstaclesOf(found: Found): string[] {
  const { constraints, identities, indexes, triggers } = found;
  const onOthers = constraints.filter(({ onKey }) => !onKey).map(({ name }) => name);
  const uniques = indexes.filter(({ isUnique, isConstraint }) => isUnique && !isConstraint);
  const tied = triggers.filter(({ isRowWithTable, isEnabled }) => isRowWithTable || !isEnabled);
  const all: [isThere: boolean, sentence: string][] = [
    [found.kind === 'p', 'the table is partitioned already'],
    [found.kind !== 'p' && found.kind !== 'r', 'it is not a table'],
    [found.taken > 0, `${found.table}_p0 or ${found.table}_default is there already`],
    [found.views > 0, 'views read it: drop them first, and create them again afterwards'],
    [found.references > 0, 'foreign keys point to it'],
    [onOthers.length > 0, `constraints of more than uuid: ${onOthers.join(', ')}`],
    [uniques.length > 0, `unique indexes: ${uniques.map(({ name }) => name).join(', ')}`],
    [tied.length > 0, `triggers that do not come along: ${tied.map((t) => t.name).join(', ')}`],
    [found.policies > 0, 'row-level security'],
    [identities.length > 0, `identity columns: ${identities.join(', ')}`],
    [found.columnGrants > 0, 'rights on single columns'],
    [found.publications > 0, 'it is in a publication'],
    [found.parents > 0, 'it inherits, or others inherit from it'],
  ];
  return all.filter(([isThere]) => isThere).map(([, sentence]) => sentence);
}
