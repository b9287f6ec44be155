import { qualify } from '../postgres/quote-sql.js';
import type { PgSession } from '../postgres/pg-session.js';
import { timeOfBound } from './period.js';
import type { TablePath } from './partition-sql.js';

/** One partition in the catalog. @internal */
export interface FoundPartition {
  readonly name: string;
  /** The table's schema, unless the partition was moved. */
  readonly schema: string;
  /** Quoted and qualified. */
  readonly sql: string;
  /** Takes entries without another partition. */
  readonly isDefault: boolean;
  /** Milliseconds since 1970; undefined without a lower bound, or with one that is not a time. */
  readonly from: number | undefined;
  /** Like `from`. */
  readonly to: number | undefined;
  /** Including its indexes. */
  readonly bytes: number;
  /** The planner's estimate; undefined if there is none yet. */
  readonly rows: number | undefined;
}

/** A ledger's table and its partitions. @internal */
export interface PartitionedTable {
  readonly path: TablePath;
  readonly oid: string;
  /** False for a plain table, which has no partitions. */
  readonly isPartitioned: boolean;
  /** True if ranges use `uuid` alone; the ledger makes no others. */
  readonly isByUuid: boolean;
  /** Ordered by bounds; the default partition is last. */
  readonly partitions: readonly FoundPartition[];
}

const SQL = `
SELECT pg_catalog.json_build_object(
  'schema', n.nspname, 'table', c.relname, 'oid', c.oid::text, 'kind', c.relkind,
  'key', pg_catalog.pg_get_partkeydef(c.oid),
  'partitions', coalesce((
    SELECT pg_catalog.json_agg(pg_catalog.json_build_object(
      'name', p.relname, 'schema', pn.nspname,
      'bound', pg_catalog.pg_get_expr(p.relpartbound, p.oid),
      'bytes', pg_catalog.pg_total_relation_size(p.oid),
      'rows', p.reltuples))
    FROM pg_catalog.pg_inherits i JOIN pg_catalog.pg_class p ON p.oid = i.inhrelid
    JOIN pg_catalog.pg_namespace pn ON pn.oid = p.relnamespace
    WHERE i.inhparent = c.oid AND p.relispartition), '[]'::json))::text AS found
FROM pg_catalog.pg_class c JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace
WHERE c.oid = pg_catalog.to_regclass($1)`;

interface FoundRow {
  readonly name: string;
  readonly schema: string;
  readonly bound: string;
  readonly bytes: number;
  readonly rows: number;
}

interface Found {
  readonly schema: string;
  readonly table: string;
  readonly oid: string;
  readonly kind: string;
  readonly key: string | null;
  readonly partitions: readonly FoundRow[];
}

/**
 * Reads the catalog. Needs no rights on the tables.
 *
 * @param sqlTable quoted and qualified
 * @returns undefined if there is no such table
 * @internal
 */
export async function listPartitions(
  session: PgSession,
  sqlTable: string,
): Promise<PartitionedTable | undefined> {
  const [row] = await session.rows<{ found: string }>(SQL, [sqlTable]);
  if (row === undefined) return undefined;
  const { schema, table, oid, kind, key, partitions } = JSON.parse(row.found) as Found;
  return {
    path: { schema, table },
    oid,
    isPartitioned: kind === 'p',
    isByUuid: key === 'RANGE (uuid)',
    partitions: partitions.map(readPartition).sort(inOrder),
  };
}

function readPartition({ name, schema, bound, bytes, rows }: FoundRow): FoundPartition {
  const [, from, to] = /FROM \((.*)\) TO \((.*)\)/.exec(bound) ?? [];
  return {
    name,
    schema,
    sql: qualify(schema, name),
    isDefault: bound === 'DEFAULT',
    from: boundTime(from),
    to: boundTime(to),
    bytes,
    rows: rows < 0 ? undefined : rows,
  };
}

/** `MINVALUE`, `MAXVALUE` and foreign bounds have no time. */
function boundTime(text: string | undefined): number | undefined {
  const uuid = /^'(.*)'$/.exec(text ?? '')?.[1];
  return uuid === undefined ? undefined : timeOfBound(uuid);
}

function inOrder(a: FoundPartition, b: FoundPartition): number {
  return (
    Number(a.isDefault) - Number(b.isDefault) ||
    (a.to ?? Number.POSITIVE_INFINITY) - (b.to ?? Number.POSITIVE_INFINITY)
  );
}
