import { NAME_ENDINGS } from '../entry/check-definition.js';
import type { LedgerTable } from '../entry/ledger-definition.js';
import { literalSql } from './default-partition-sql.js';
import { defineFunction, ownRelation } from './ledger-function.js';
import { createSummaryFunction, dimensionTypes } from './rollup-summary-function.js';
import {
  declaredDimensions,
  dimensions,
  IS_LATE,
  MEASURES_OF_ENTRY,
  rollupNames,
} from './rollup-tables.js';
import { quoteIdentifier } from './table-names.js';
import type { TableNames } from './table-names.js';

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
  const prefix = names.schema === undefined ? '' : `${quoteIdentifier(names.schema)}.`;
  const own = (ending: keyof typeof NAME_ENDINGS): string =>
    prefix + quoteIdentifier(table.table + NAME_ENDINGS[ending]);
  return [
    `DROP FUNCTION IF EXISTS ${own('rollupSummary')}`,
    ...TRIGGERS.map(({ ending }) => `DROP FUNCTION IF EXISTS ${own(ending)}() CASCADE`),
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
      dimensions text[] NOT NULL)`,
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
    unlessLarge(names, entryIndexes(table, names, '')),
  ];
}

/** Bytes of a table above which no migration makes an index on it, since writers would wait. */
const LARGE_BYTES = 256 * 1024 * 1024;

/**
 * Statements that make the indexes of entries that rollups need, unless they are there.
 *
 * @param how `CONCURRENTLY` keeps no writer waiting, and can't be part of a transaction
 * @internal
 */
export function entryIndexes(
  table: LedgerTable,
  { sqlEntries }: Pick<TableNames, 'sqlEntries'>,
  how: '' | 'CONCURRENTLY',
): string[] {
  const own = (ending: keyof typeof NAME_ENDINGS): string =>
    quoteIdentifier(table.table + NAME_ENDINGS[ending]);
  return [
    // A few bytes for each 128 pages: what finds a period's entries without a user.
    `CREATE INDEX ${how} IF NOT EXISTS ${own('createdBrin')} ON ${sqlEntries}
      USING brin (created_at) WITH (autosummarize = on)`,
    `CREATE INDEX ${how} IF NOT EXISTS ${own('lateIndex')} ON ${sqlEntries} (written_at, user_id)
      WHERE ${IS_LATE}`,
  ];
}

/** A large table gets them from `nestjs-ledger rollup`; nothing is folded before. */
function unlessLarge({ sqlEntries }: TableNames, statements: readonly string[]): string {
  const body = `BEGIN
    IF pg_catalog.pg_table_size(pg_catalog.to_regclass(${literalSql(sqlEntries)})) < ${LARGE_BYTES}
    THEN ${statements.join('; ')};
    END IF;
  END`;
  return `DO ${literalSql(body)}`;
}

/** What a trigger adds to the marks, and what makes it fire. */
const TRIGGERS = [
  {
    ending: 'rollupUpdate',
    event: 'UPDATE',
    transition: 'REFERENCING OLD TABLE AS old_rows NEW TABLE AS new_rows',
    rows: 'SELECT 1 AS entries, n.* FROM new_rows n UNION ALL SELECT -1, o.* FROM old_rows o',
  },
  {
    ending: 'rollupDelete',
    event: 'DELETE',
    transition: 'REFERENCING OLD TABLE AS old_rows',
    rows: 'SELECT -1 AS entries, o.* FROM old_rows o',
  },
  { ending: 'rollupTruncate', event: 'TRUNCATE', transition: '', rows: undefined },
] as const;

/** Statement-level: a statement that inserts meets none of them. */
function createTriggers(table: LedgerTable, names: TableNames): string[] {
  return TRIGGERS.flatMap(({ ending, event, transition, rows }) => {
    const name = quoteIdentifier(table.table + NAME_ENDINGS[ending]);
    const prefix = names.schema === undefined ? '' : `${quoteIdentifier(names.schema)}.`;
    const body = rows === undefined ? clearSql(table) : markSql(table, rows);
    return [
      // With its owner's rights: who may change entries need not be able to write marks.
      defineFunction(
        names,
        `${ownRelation(table, ending)}() RETURNS trigger LANGUAGE plpgsql SECURITY DEFINER`,
        ` BEGIN ${body} RETURN NULL; END `,
      ),
      `DROP TRIGGER IF EXISTS ${name} ON ${names.sqlEntries}`,
      `CREATE TRIGGER ${name} AFTER ${event} ON ${names.sqlEntries} ${transition}
        FOR EACH STATEMENT EXECUTE FUNCTION ${prefix}${name}()`,
    ];
  });
}

function markSql(table: LedgerTable, rows: string): string {
  const columns = dimensions(table).map(quoteIdentifier).join(', ');
  return `INSERT INTO ${ownRelation(table, 'rollupMarks')}
      (created_at, written_at, ${columns}, consumed, supplied, entries)
    SELECT created_at, written_at, ${columns}, sum(consumed * entries), sum(supplied * entries),
      sum(entries)
    FROM (SELECT created_at, written_at, ${columns}, ${MEASURES_OF_ENTRY}, entries
      FROM (${rows}) AS changed) AS deltas
    GROUP BY created_at, written_at, ${columns}
    HAVING sum(entries) <> 0 OR sum(consumed * entries) <> 0 OR sum(supplied * entries) <> 0;`;
}

function clearSql(table: LedgerTable): string {
  return `UPDATE ${ownRelation(table, 'rollupState')}
      SET (closed_before, written_until) = ('-infinity', '-infinity');
    DELETE FROM ${ownRelation(table, 'rollupMarks')};
    DELETE FROM ${ownRelation(table, 'rollups')};`;
}

function begin(table: LedgerTable, names: TableNames): string[] {
  const { sqlRollups, sqlState } = rollupNames(table, names.schema);
  const own = `ARRAY[${dimensions(table).map(literalSql).join(', ')}]::text[]`;
  return [
    `INSERT INTO ${sqlState} (dimensions) VALUES (${own}) ON CONFLICT DO NOTHING`,
    `WITH changed AS (
      UPDATE ${sqlState}
      SET (dimensions, closed_before, written_until) = (${own}, '-infinity', '-infinity')
      WHERE dimensions <> ${own} RETURNING id)
    DELETE FROM ${sqlRollups} WHERE EXISTS (SELECT FROM changed)`,
  ];
}
