import { literalSql, qualify, quoteIdentifier } from '../postgres/quote-sql.js';
import { NAME_ENDINGS } from '../entry/check-definition.js';
import type { LedgerTable } from '../entry/ledger-definition.js';
import { createSummaryFunction, dimensionTypes } from './rollup-summary-function.js';
import { declaredDimensions, dimensions, rollupNames } from './rollup-tables.js';
import { entryIndexes } from './rollup-indexes.js';
import { createTriggers, isTriggeredSql, ROLLUP_TRIGGERS } from './rollup-triggers.js';
import type { TableNames } from '../postgres/table-names.js';

/**
 * Statements that make the tables of a ledger's rollups, the two indexes of entries that they need,
 * and the triggers that mark what SQL changes afterwards. Each may be run again. If the definition
 * names other dimensions than before, the rollups begin anew.
 *
 * @internal
 */
export function createRollups(table: LedgerTable, names: TableNames): string[] {
  if (!table.rollup) return [];
  return [
    ...createTables(table, names),
    ...createIndexes(table, names),
    ...createTriggers(table, names),
    ...begin(table, names),
    ...createSummaryFunction(table, names),
  ];
}

/** @internal */
export function dropRollups(table: LedgerTable, names: TableNames): string[] {
  const { sqlRollups, sqlState, sqlMarks } = rollupNames(table, names.schema);
  const own = (ending: keyof typeof NAME_ENDINGS): string =>
    qualify(names.schema, table.table + NAME_ENDINGS[ending]);
  return [
    `DROP FUNCTION IF EXISTS ${own('rollupSummary')}`,
    ...ROLLUP_TRIGGERS.map(({ ending }) => `DROP FUNCTION IF EXISTS ${own(ending)}() CASCADE`),
    `DROP TABLE IF EXISTS ${sqlRollups}, ${sqlMarks}, ${sqlState}`,
    `DROP INDEX IF EXISTS ${own('createdBrin')}, ${own('lateIndex')}`,
  ];
}

function createTables(table: LedgerTable, names: TableNames): string[] {
  const { sqlRollups, sqlState, sqlMarks } = rollupNames(table, names.schema);
  const types = dimensionTypes(table).map(([column, type]) => `${quoteIdentifier(column)} ${type}`);
  const [user, ...others] = types;
  const sums = 'consumed numeric NOT NULL, supplied numeric NOT NULL, entries numeric NOT NULL';
  const statePrimaryKey = quoteIdentifier(table.table + NAME_ENDINGS.rollupStatePrimaryKey);
  return [
    `CREATE TABLE IF NOT EXISTS ${sqlRollups} (
      series smallint NOT NULL, level smallint NOT NULL, key ${table.ids},
      lo timestamptz NOT NULL, hi timestamptz NOT NULL, ${others.join(', ')}, ${sums})`,
    `CREATE TABLE IF NOT EXISTS ${sqlMarks} (
      created_at timestamptz NOT NULL, written_at timestamptz NOT NULL,
      ${[user, ...others].join(', ')}, ${sums})`,
    `CREATE TABLE IF NOT EXISTS ${sqlState} (
      id boolean NOT NULL DEFAULT true CONSTRAINT ${statePrimaryKey} PRIMARY KEY CHECK (id),
      closed_before timestamptz NOT NULL DEFAULT '-infinity',
      written_until timestamptz NOT NULL DEFAULT '-infinity',
      rests_until timestamptz NOT NULL DEFAULT '-infinity',
      retired_before timestamptz NOT NULL DEFAULT '-infinity',
      dimensions text[] NOT NULL)`,
    // Neither has a key: where all tables are published, UPDATE and DELETE would be refused.
    ...[sqlRollups, sqlMarks].map((name) => `ALTER TABLE ${name} REPLICA IDENTITY FULL`),
    ...types
      .slice(dimensions(table).length - declaredDimensions(table).length)
      .flatMap((column) =>
        [sqlRollups, sqlMarks].map(
          (name) => `ALTER TABLE ${name} ADD COLUMN IF NOT EXISTS ${column}`,
        ),
      ),
  ];
}

function createIndexes(table: LedgerTable, names: TableNames): string[] {
  const { sqlRollups, sqlMarks } = rollupNames(table, names.schema);
  const own = (ending: keyof typeof NAME_ENDINGS): string =>
    quoteIdentifier(table.table + NAME_ENDINGS[ending]);
  const index = 'CREATE INDEX IF NOT EXISTS';
  return [
    `${index} ${own('rollupSpan')} ON ${sqlRollups} (series, level, key, hi)`,
    `${index} ${own('rollupMarksUser')} ON ${sqlMarks} (user_id, created_at)`,
    unlessLarge(names, entryIndexes(table, names)),
  ];
}

/** Bytes of a table above which no migration makes an index on it, since writers would wait. */
const LARGE_BYTES = 256 * 1024 * 1024;

/** A large table gets them from `nestjs-ledger rollup`; nothing is folded before. */
function unlessLarge({ sqlEntries }: TableNames, statements: readonly string[]): string {
  // Of a partitioned table the partitions have the bytes.
  const body = `BEGIN
    IF (SELECT sum(pg_catalog.pg_table_size(t.oid)) FROM (
        SELECT pg_catalog.to_regclass(${literalSql(sqlEntries)})::oid AS oid
        UNION ALL SELECT inhrelid FROM pg_catalog.pg_inherits
          WHERE inhparent = pg_catalog.to_regclass(${literalSql(sqlEntries)})) t) < ${LARGE_BYTES}
    THEN ${statements.join('; ')};
    END IF;
  END`;
  return `DO ${literalSql(body)}`;
}

/**
 * Asks whether there are rollups that tell apart all that these would, and more: another application
 * made them, and nothing is gained by making them anew with less.
 *
 * @internal
 */
export function hasMoreDimensions(
  table: LedgerTable,
  names: TableNames,
): { relation: string; sql: string } {
  const { sqlState, sqlSummary } = rollupNames(table, names.schema);
  const own = `ARRAY[${dimensions(table).map(literalSql).join(', ')}]::text[]`;
  return {
    relation: sqlState,
    sql: `SELECT FROM ${sqlState} WHERE dimensions @> ${own} AND dimensions <> ${own}
      AND ${isTriggeredSql(table, names)}
      AND pg_catalog.to_regproc(${literalSql(sqlSummary)}) IS NOT NULL`,
  };
}

function begin(table: LedgerTable, names: TableNames): string[] {
  const { sqlRollups, sqlState } = rollupNames(table, names.schema);
  const own = `ARRAY[${dimensions(table).map(literalSql).join(', ')}]::text[]`;
  return [
    `INSERT INTO ${sqlState} (dimensions) VALUES (${own}) ON CONFLICT DO NOTHING`,
    `WITH changed AS (
      UPDATE ${sqlState}
      SET (dimensions, closed_before, written_until, retired_before) =
        (${own}, '-infinity', '-infinity', '-infinity')
      WHERE dimensions <> ${own} RETURNING id)
    DELETE FROM ${sqlRollups} WHERE EXISTS (SELECT FROM changed)`,
  ];
}
