import { NAME_ENDINGS } from '../entry/check-definition.js';
import { columnName } from '../entry/ledger-definition.js';
import type { LedgerTable } from '../entry/ledger-definition.js';
import {
  declaredDimensions,
  dimensions,
  IS_LATE,
  MEASURES_OF_ENTRY,
  quarterSql,
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
  ];
}

/** @internal */
export function dropRollups(table: LedgerTable, names: TableNames): string[] {
  const { sqlRollups, sqlState, sqlMarks } = rollupNames(table, names.schema);
  const prefix = names.schema === undefined ? '' : `${quoteIdentifier(names.schema)}.`;
  const own = (ending: keyof typeof NAME_ENDINGS): string =>
    prefix + quoteIdentifier(table.table + NAME_ENDINGS[ending]);
  return [
    ...TRIGGERS.map(({ ending }) => `DROP FUNCTION IF EXISTS ${own(ending)}() CASCADE`),
    `DROP TABLE IF EXISTS ${sqlRollups}, ${sqlMarks}, ${sqlState}`,
    `DROP INDEX IF EXISTS ${own('createdBrin')}, ${own('lateIndex')}`,
  ];
}

/** Dimensions with their types, as column definitions. */
function dimensionTypes(table: LedgerTable): [column: string, type: string][] {
  const declared = new Map(
    Object.entries(table.columns).map(([field, type]) => [columnName(field), type]),
  );
  return dimensions(table).map((column) => [column, declared.get(column) ?? table.ids]);
}

function createTables(table: LedgerTable, names: TableNames): string[] {
  const { sqlRollups, sqlState, sqlMarks } = rollupNames(table, names.schema);
  const types = dimensionTypes(table).map(([column, type]) => `${quoteIdentifier(column)} ${type}`);
  const sums = `${types.join(', ')},
    consumed numeric NOT NULL, supplied numeric NOT NULL, entries numeric NOT NULL`;
  const statePrimaryKey = quoteIdentifier(table.table + NAME_ENDINGS.rollupStatePrimaryKey);
  return [
    `CREATE TABLE IF NOT EXISTS ${sqlRollups} (
      level smallint NOT NULL, bucket timestamptz NOT NULL, ${sums})`,
    `CREATE TABLE IF NOT EXISTS ${sqlMarks} (
      bucket timestamptz NOT NULL, written_at timestamptz NOT NULL, ${sums})`,
    `CREATE TABLE IF NOT EXISTS ${sqlState} (
      id boolean NOT NULL DEFAULT true CONSTRAINT ${statePrimaryKey} PRIMARY KEY CHECK (id),
      closed_before timestamptz NOT NULL DEFAULT '-infinity',
      written_until timestamptz NOT NULL DEFAULT '-infinity',
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
    `${index} ${own('rollupUser')} ON ${sqlRollups} (user_id, level, bucket)`,
    `${index} ${own('rollupApiKey')} ON ${sqlRollups} (api_key_id, level, bucket)
      WHERE api_key_id IS NOT NULL`,
    `${index} ${own('rollupLevel')} ON ${sqlRollups} (level, bucket)`,
    `${index} ${own('rollupMarksUser')} ON ${sqlMarks} (user_id, bucket)`,
    // A few bytes for each 128 pages: what finds a period's entries without a user.
    `${index} ${own('createdBrin')} ON ${names.sqlEntries}
      USING brin (created_at) WITH (autosummarize = on)`,
    `${index} ${own('lateIndex')} ON ${names.sqlEntries} (written_at, user_id) WHERE ${IS_LATE}`,
  ];
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
    const path = names.schema === undefined ? name : `${quoteIdentifier(names.schema)}.${name}`;
    const body = rows === undefined ? clearSql(table) : markSql(table, rows);
    return [
      defineFunction(names, name, body),
      `DROP TRIGGER IF EXISTS ${name} ON ${names.sqlEntries}`,
      `CREATE TRIGGER ${name} AFTER ${event} ON ${names.sqlEntries} ${transition}
        FOR EACH STATEMENT EXECUTE FUNCTION ${path}()`,
    ];
  });
}

/**
 * It runs with its owner's rights, since who may change entries need not be able to write marks.
 * The schema is asked for now, so that no search path of a caller decides it later.
 */
function defineFunction({ sqlEntries }: TableNames, name: string, body: string): string {
  const definition = `CREATE OR REPLACE FUNCTION ${SCHEMA}.${name}() RETURNS trigger
      LANGUAGE plpgsql SECURITY DEFINER SET search_path TO pg_catalog, pg_temp AS ${quoteBody(`
      BEGIN
        ${body}
        RETURN NULL;
      END `)}`;
  return `DO ${quoteBody(` BEGIN
    EXECUTE pg_catalog.replace(${quoteBody(definition)}, '${SCHEMA}',
      (SELECT pg_catalog.quote_ident(n.nspname) FROM pg_catalog.pg_class c
       JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace
       WHERE c.oid = pg_catalog.to_regclass(${quoteLiteral(sqlEntries)})));
  END `)}`;
}

/** Stands for the schema until the server fills it in. */
const SCHEMA = '{schema of the ledger}';

/** Dollar quotes with a tag that the text has not, whatever names are in it. */
function quoteBody(text: string): string {
  let count = 1;
  while (text.includes(`$body${count}$`)) count += 1;
  return `$body${count}$${text}$body${count}$`;
}

function markSql(table: LedgerTable, rows: string): string {
  const columns = dimensions(table).map(quoteIdentifier).join(', ');
  const marks = `${SCHEMA}.${quoteIdentifier(table.table + NAME_ENDINGS.rollupMarks)}`;
  return `INSERT INTO ${marks}
      (bucket, written_at, ${columns}, consumed, supplied, entries)
    SELECT bucket, written_at, ${columns}, sum(consumed * entries), sum(supplied * entries),
      sum(entries)
    FROM (SELECT ${quarterSql('created_at')} AS bucket, written_at, ${columns},
        ${MEASURES_OF_ENTRY}, entries
      FROM (${rows}) AS changed) AS deltas
    GROUP BY bucket, written_at, ${columns}
    HAVING sum(entries) <> 0 OR sum(consumed * entries) <> 0 OR sum(supplied * entries) <> 0;`;
}

function clearSql(table: LedgerTable): string {
  const own = (ending: keyof typeof NAME_ENDINGS): string =>
    `${SCHEMA}.${quoteIdentifier(table.table + NAME_ENDINGS[ending])}`;
  return `UPDATE ${own('rollupState')}
      SET (closed_before, written_until) = ('-infinity', '-infinity');
    DELETE FROM ${own('rollupMarks')};
    DELETE FROM ${own('rollups')};`;
}

function begin(table: LedgerTable, names: TableNames): string[] {
  const { sqlRollups, sqlState } = rollupNames(table, names.schema);
  const own = `ARRAY[${dimensions(table).map(quoteLiteral).join(', ')}]::text[]`;
  return [
    `INSERT INTO ${sqlState} (dimensions) VALUES (${own}) ON CONFLICT DO NOTHING`,
    `WITH changed AS (
      UPDATE ${sqlState} SET (dimensions, closed_before, written_until) = (${own}, '-infinity', '-infinity')
      WHERE dimensions <> ${own} RETURNING id)
    DELETE FROM ${sqlRollups} WHERE EXISTS (SELECT FROM changed)`,
  ];
}

function quoteLiteral(text: string): string {
  return `'${text.replaceAll("'", "''")}'`;
}
