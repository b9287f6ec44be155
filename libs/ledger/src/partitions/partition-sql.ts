import { qualify, quoteIdentifier } from '../postgres/quote-sql.js';
import { NAME_ENDINGS } from '../entry/check-definition.js';
import { uuidBound, type Period } from './period.js';

/** A relation's name, and its SQL form. @internal */
export interface RelationName {
  readonly name: string;
  readonly sql: string;
}

/** A table that is or becomes partitioned. `schema` is its real schema from the catalog. */
export interface TablePath {
  readonly schema: string;
  readonly table: string;
}

/** Another relation of the table's schema. @internal */
export function relationOf({ schema }: TablePath, name: string): RelationName {
  return { name, sql: qualify(schema, name) };
}

/** The partition for entries without another one. @internal */
export function defaultPartition(path: TablePath): RelationName {
  return relationOf(path, path.table + NAME_ENDINGS.defaultPartition);
}

/** @internal */
export function partitionOf(path: TablePath, { label }: Period): RelationName {
  return relationOf(path, `${path.table}_p${label}`);
}

/**
 * An index of the rows in a partition whose `created_at` differs from the time of their uuid. It is
 * empty as long as callers make no uuids of their own. A read of another period without a better
 * index then reads this one instead of the whole partition.
 *
 * @param from undefined: the partition has no lower bound
 * @internal
 */
export function straysIndexSql(
  partition: RelationName,
  bounds: { readonly from: number | undefined; readonly to: number },
  isConcurrent = false,
): string {
  const name = quoteIdentifier(`${partition.name}_strays`);
  const outside = [
    ...(bounds.from === undefined ? [] : [`created_at < ${momentSql(bounds.from)}`]),
    `created_at >= ${momentSql(bounds.to)}`,
  ];
  return (
    `CREATE INDEX ${isConcurrent ? 'CONCURRENTLY ' : ''}IF NOT EXISTS ${name} ` +
    `ON ${partition.sql} (created_at) WHERE ${outside.join(' OR ')}`
  );
}

/** @param from undefined: all uuids that sort before `to` @internal */
export function boundsSql({ from, to }: { from: number | undefined; to: number }): string {
  const lower = from === undefined ? 'MINVALUE' : `'${uuidBound(from)}'`;
  return `FOR VALUES FROM (${lower}) TO ('${uuidBound(to)}')`;
}

/** A constant, so that the planner can compare it with an index's condition. @internal */
export function momentSql(ms: number): string {
  return `'${new Date(ms).toISOString()}'::timestamptz`;
}
