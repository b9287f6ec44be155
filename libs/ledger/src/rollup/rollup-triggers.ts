import { literalSql, quoteBody, qualify, quoteIdentifier } from '../postgres/quote-sql.js';
import { MEASURES_OF_ENTRY } from '../postgres/measures-sql.js';
import { NAME_ENDINGS } from '../entry/check-definition.js';
import type { LedgerTable } from '../entry/ledger-definition.js';
import { eachPartitionSql } from '../postgres/default-partition-sql.js';
import { defineFunction, ownRelation, presentTable } from '../postgres/ledger-function.js';
import { dimensions, rollupNames } from './rollup-tables.js';
import type { TableNames } from '../postgres/table-names.js';

/** What a trigger adds to the marks, and what makes it fire. @internal */
export const ROLLUP_TRIGGERS = [
  {
    ending: 'rollupUpdate',
    event: 'UPDATE',
    transition: 'REFERENCING OLD TABLE AS old_rows NEW TABLE AS new_rows',
    rows: (columns: string) =>
      `SELECT 1 AS entries, ${columns} FROM new_rows UNION ALL SELECT -1, ${columns} FROM old_rows`,
  },
  {
    ending: 'rollupDelete',
    event: 'DELETE',
    transition: 'REFERENCING OLD TABLE AS old_rows',
    rows: (columns: string) => `SELECT -1 AS entries, ${columns} FROM old_rows`,
  },
  { ending: 'rollupTruncate', event: 'TRUNCATE', transition: '', rows: undefined },
] as const;
type Ending = (typeof ROLLUP_TRIGGERS)[number]['ending'];

/**
 * Statements that make the triggers. Each may be run again. They are statement-level: a statement
 * that inserts meets none of them. A statement fires those of the table that it names alone, so each
 * partition has them as well.
 *
 * @internal
 */
export function createTriggers(table: LedgerTable, names: TableNames): string[] {
  const { schema } = names;
  return [
    clearUnlessTriggered(table, names),
    ...ROLLUP_TRIGGERS.flatMap(({ ending, rows }) => {
      const body = rows === undefined ? clearOwn(table) : markSql(table, rows);
      return [
        // With its owner's rights: who may change entries need not be able to write marks.
        defineFunction(
          names,
          `${ownRelation(table, ending)}() RETURNS trigger LANGUAGE plpgsql SECURITY DEFINER`,
          ` BEGIN ${passOver(table)} ${body} RETURN NULL; END `,
        ),
        unlessTriggered({ ending, table: table.table, schema }, names.sqlEntries),
      ];
    }),
    partitionTriggersSql({ table: table.table, schema }, names.sqlEntries),
  ];
}

/**
 * True if the table has the triggers. One without them is new, or was changed behind the rollups'
 * back; so was one whose triggers name it as it was called once.
 *
 * @internal
 */
export function isTriggeredSql({ table }: LedgerTable, { sqlEntries }: TableNames): string {
  const wanted = ROLLUP_TRIGGERS.map(({ ending }) => literalSql(table + NAME_ENDINGS[ending]));
  return `(SELECT count(*) = ${wanted.length} FROM pg_catalog.pg_trigger t
    JOIN pg_catalog.pg_proc p ON p.oid = t.tgfoid
    JOIN pg_catalog.pg_class c ON c.oid = t.tgrelid
    JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace
    WHERE t.tgname IN (${wanted.join(', ')}) AND ${namesTableSql('p', 'n', 'c')}
      AND c.oid = pg_catalog.to_regclass(${literalSql(sqlEntries)}))`;
}

function clearUnlessTriggered(table: LedgerTable, names: TableNames): string {
  const { sqlState, sqlMarks, sqlRollups } = rollupNames(table, names.schema);
  const body = `BEGIN
      IF NOT ${isTriggeredSql(table, names)} THEN ${clearSql({ state: sqlState, marks: sqlMarks, rollups: sqlRollups })}
      END IF;
    END`;
  return `DO ${literalSql(body)}`;
}

/** A ledger's table, in whose schema the functions of its triggers are. */
interface TriggeredTable {
  readonly table: string;
  readonly schema: string | undefined;
}

/** Statement that makes one of the triggers. @param on quoted @internal */
export function triggerSql(
  trigger: TriggeredTable & { readonly ending: string },
  on: string,
): string {
  const { ending, event, transition } = ROLLUP_TRIGGERS.find(
    (each) => each.ending === trigger.ending,
  )!;
  const name = trigger.table + NAME_ENDINGS[ending];
  return `CREATE TRIGGER ${quoteIdentifier(name)} AFTER ${event} ON ${on} ${transition}
    FOR EACH STATEMENT EXECUTE FUNCTION ${qualify(trigger.schema, name)}()`;
}

/**
 * Statement that makes it unless it is there. To drop one first would need a lock that waits for every
 * read, and all reads and writes would wait behind it.
 *
 * @param on quoted
 */
function unlessTriggered(
  trigger: TriggeredTable & { readonly ending: Ending },
  on: string,
): string {
  const name = trigger.table + NAME_ENDINGS[trigger.ending];
  return `DO ${quoteBody(` BEGIN
    IF NOT EXISTS (SELECT FROM pg_catalog.pg_trigger
      WHERE tgrelid = pg_catalog.to_regclass(${quoteBody(on)}) AND tgname = ${literalSql(name)}
        AND tgfoid = pg_catalog.to_regproc(${literalSql(qualify(trigger.schema, name))}))
    THEN
      DROP TRIGGER IF EXISTS ${quoteIdentifier(name)} ON ${on};
      ${triggerSql(trigger, on)};
    END IF;
  END `)}`;
}

/** Statement that makes the triggers of a table's partitions; of a plain table it makes none. */
function partitionTriggersSql(of: TriggeredTable, sqlEntries: string): string {
  const statements = ROLLUP_TRIGGERS.map(({ ending }) =>
    unlessTriggered({ ending, ...of }, '{partition}'),
  );
  return eachPartitionSql(sqlEntries, statements);
}

/**
 * A table that was renamed, or a partition that is one no longer, keeps its triggers: the rollups are
 * those of whichever table bears the name now, and know nothing of the rows of others.
 */
function passOver(table: LedgerTable): string {
  return `IF (SELECT own <> TG_RELID AND NOT EXISTS (
        SELECT FROM pg_inherits WHERE inhrelid = TG_RELID AND inhparent = own)
      FROM ${presentTable(table)} own)
    THEN RETURN NULL; END IF;`;
}

/** Names no other columns of the entries: those that users declare or add may have any name. */
function markSql(table: LedgerTable, rows: (columns: string) => string): string {
  const columns = dimensions(table).map(quoteIdentifier).join(', ');
  const changed = `created_at, written_at, direction, prompt_tokens, completion_tokens, ${columns}`;
  return `INSERT INTO ${ownRelation(table, 'rollupMarks')}
      (created_at, written_at, ${columns}, consumed, supplied, entries)
    SELECT created_at, written_at, ${columns}, sum(consumed * entries), sum(supplied * entries),
      sum(entries)
    FROM (SELECT created_at, written_at, ${columns}, ${MEASURES_OF_ENTRY}, entries
      FROM (${rows(changed)}) AS changed) AS deltas
    GROUP BY created_at, written_at, ${columns}
    HAVING sum(entries) <> 0 OR sum(consumed * entries) <> 0 OR sum(supplied * entries) <> 0;`;
}

function clearOwn(table: LedgerTable): string {
  return clearSql({
    state: ownRelation(table, 'rollupState'),
    marks: ownRelation(table, 'rollupMarks'),
    rollups: ownRelation(table, 'rollups'),
  });
}

function clearSql(own: { state: string; marks: string; rollups: string }): string {
  return `UPDATE ${own.state}
      SET (closed_before, written_until, retired_before) = ('-infinity', '-infinity', '-infinity');
    DELETE FROM ${own.marks};
    DELETE FROM ${own.rollups};`;
}

/**
 * Asks whether the text of a ledger's function names the table as it is called now, which it does
 * not any more if a schema was renamed.
 *
 * @param fn alias of pg_proc @param schema alias of pg_namespace @param table alias of pg_class
 */
function namesTableSql(fn: string, schema: string, table: string): string {
  const name = `'"' || pg_catalog.replace(${table}.relname, '"', '""') || '"'`;
  return `pg_catalog.strpos(${fn}.prosrc,
    pg_catalog.quote_ident(${schema}.nspname) || '.' || ${name}) > 0`;
}
