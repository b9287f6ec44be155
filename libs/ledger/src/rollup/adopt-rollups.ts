import { columnName } from '../entry/columns.js';
import type { ColumnType, LedgerTable } from '../entry/ledger-definition.js';
import { NAME_ENDINGS } from '../entry/check-definition.js';
import type { QueryFunction } from '../postgres/load-catalog.js';
import { BUILT_IN_DIMENSIONS, dimensions, rollupNames } from './rollup-layout.js';

/** Compares names as values: a cast to regclass would fail without the right to use the schema. */
const FIND_STATE = `
SELECT c.oid::pg_catalog.regclass::text AS state
FROM pg_catalog.pg_class c
JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace
WHERE c.relname = $1
  AND CASE WHEN $2::text IS NULL THEN pg_catalog.pg_table_is_visible(c.oid) ELSE n.nspname = $2 END
  AND pg_catalog.has_schema_privilege(n.oid, 'USAGE')
  AND pg_catalog.has_table_privilege(c.oid, 'SELECT')`;

const COLUMN_TYPES = `
SELECT a.attname::text AS name, pg_catalog.format_type(a.atttypid, a.atttypmod) AS type
FROM pg_catalog.pg_attribute a
WHERE a.attrelid = pg_catalog.to_regclass($1) AND a.attnum > 0 AND NOT a.attisdropped`;

/**
 * Finds the rollups in the database. They stay in use although the definition does not request
 * them, with all their dimensions, which may be more than requested.
 *
 * @param definition with its effective schema
 * @returns the definition with these rollups; the given one if this role may read none, or they
 *   lack dimensions
 * @throws any error of the query
 * @internal
 */
export async function adoptRollups(
  query: QueryFunction,
  definition: LedgerTable,
): Promise<LedgerTable> {
  const state = await readRollupState(query, definition);
  if (state === undefined) return definition;
  const found = state.dimensions;
  const isEnough = dimensions(definition).every((name) => found.includes(name));
  if (definition.rollup && !isEnough) return definition;
  const rollup = found.filter((name) => !BUILT_IN_DIMENSIONS.includes(name));
  const declared = Object.keys(definition.columns).map(columnName);
  const others = rollup.filter((name) => !declared.includes(name));
  if (others.length === 0) return { ...definition, rollup };
  const types = (await query(COLUMN_TYPES, [rollupNames(definition).sqlRollups])) as {
    name: string;
    type: ColumnType;
  }[];
  const otherTypes = types
    .filter(({ name }) => others.includes(name))
    .map(({ name, type }) => [name, type] as const);
  const columns = { ...definition.columns, ...Object.fromEntries(otherTypes) };
  return { ...definition, rollup, columns };
}

/** Properties of the rollups in the database. */
export interface FoundRollups {
  /** Their dimensions, unquoted. */
  readonly dimensions: readonly string[];
  /** True between `rollup --pause` and `rollup --rebuild`. */
  readonly isPaused: boolean;
}

/**
 * The rollups in the database; undefined if there are none that this role may read.
 *
 * @param definition with its effective schema
 * @throws any error of the query
 * @internal
 */
export async function readRollupState(
  query: QueryFunction,
  { schema, table }: LedgerTable,
): Promise<FoundRollups | undefined> {
  const [found] = (await query(FIND_STATE, [table + NAME_ENDINGS.rollupState, schema ?? null])) as {
    state: string;
  }[];
  if (!found) return undefined;
  // Before migration 7 the state had no such column.
  const [state] = (await query(
    `SELECT pg_catalog.array_to_string(s.dimensions, ',') AS dimensions,
       pg_catalog.to_jsonb(s) ->> 'paused' AS paused
     FROM ${found.state} s`,
    [],
  )) as { dimensions: string; paused: string | null }[];
  return { dimensions: state?.dimensions.split(',') ?? [], isPaused: state?.paused === 'true' };
}
