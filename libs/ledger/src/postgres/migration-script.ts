import assert from 'node:assert/strict';
import { createHash } from 'node:crypto';
import { NAME_ENDINGS } from '../entry/check-definition.js';
import type { LedgerTable } from '../entry/ledger-definition.js';
import { literalSql, qualify, quoteIdentifier } from './quote-sql.js';
import { fillTemplate } from './fill-template.js';
import type {
  NameEnding,
  PlannedMigration,
  SqlMigration,
  StoredFunction,
  StoredTrigger,
} from './sql-migration.interface.js';

/** Prefix of the first line in a stored function's body; a number follows. @internal */
export const FUNCTION_MARK = '-- nestjs-ledger ';

/** Finds that number, as a regular expression of PostgreSQL. */
const NUMBER_PATTERN = `^[[:space:]]*${FUNCTION_MARK}([0-9]+)`;

/**
 * Words that every template may use: `ids`, and for the table (`entries`) and each of `NAME_ENDINGS`
 *
 * | Word             | Value                                                        |
 * | ---------------- | ------------------------------------------------------------ |
 * | `immutable`      | the name, quoted, with the schema if one is known            |
 * | `immutable.name` | the name, quoted, without schema: of an index or a constraint |
 * | `immutable.text` | the first as a text literal, for `to_regclass`               |
 * | `immutable.raw`  | the bare name as a text literal, to compare with the catalog |
 *
 * @param schema that counts; undefined: the search path decides
 * @internal
 */
export function templateValues(
  { table, ids }: Pick<LedgerTable, 'table' | 'ids'>,
  schema: string | undefined,
): Record<string, string> {
  // The server replaces `{schema}` in functions.
  const values: Record<string, string> = { ids, schema: '{schema}' };
  for (const [word, ending] of Object.entries({ entries: '', ...NAME_ENDINGS })) {
    const name = table + ending;
    values[word] = qualify(schema, name);
    values[`${word}.name`] = quoteIdentifier(name);
    values[`${word}.text`] = literalSql(qualify(schema, name));
    values[`${word}.raw`] = literalSql(name);
  }
  return values;
}

/** The values for one planned migration. @internal */
export function valuesOf(
  planned: PlannedMigration,
  table: LedgerTable,
  schema: string | undefined,
): Record<string, string> {
  return { ...templateValues(table, schema), ...planned.values?.(schema) };
}

/** The body as the server stores it, names not filled in. @internal */
export function functionBody({ number }: SqlMigration, { body }: StoredFunction): string {
  return `\n${FUNCTION_MARK}${number}\n${body.trim()}\n`;
}

/** `up` or `down` with its functions and triggers; names are not filled in. @internal */
export function scriptTemplate(migration: SqlMigration, direction: 'up' | 'down'): string {
  const { functions = [], triggers = [] } = migration;
  const find = <T extends { ending: NameEnding }>(list: readonly T[], ending: string): T => {
    const found = list.find((each) => each.ending === ending);
    assert(found, `migration ${migration.number} declares no ${ending}`);
    return found;
  };
  return migration[direction]
    .trim()
    .replaceAll(/\{function (\w+)\}/g, (_, ending: string) =>
      functionTemplate(migration, find(functions, ending)),
    )
    .replaceAll(/\{trigger (\w+)\}/g, (_, ending: string) =>
      triggerTemplate(migration, find(triggers, ending)),
    );
}

/**
 * SHA-256 of all that a migration sends to the server, before names are filled in. A committed list of
 * these shows that a migration was edited.
 *
 * @internal
 */
export function templateHash(migration: SqlMigration): string {
  const texts = [scriptTemplate(migration, 'up'), scriptTemplate(migration, 'down')];
  return createHash('sha256').update(texts.join('\0')).digest('hex');
}

/** Reads the schema of the ledger's table, wherever the search path finds it. */
const FIND_SCHEMA = `
  SELECT n.oid, pg_catalog.quote_ident(n.nspname) AS name INTO v_schema
  FROM pg_catalog.pg_class c
  JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace
  WHERE c.oid = pg_catalog.to_regclass({entries.text});`.trim();

/** Ends the block if a newer version of the package has made the function of this name. */
function leaveNewer({ number }: SqlMigration): string {
  return `
  -- A newer version of the package may have made it. Then it stays.
  IF EXISTS (
    SELECT FROM pg_catalog.pg_proc p
    WHERE p.proname = v_name AND p.pronamespace = v_schema.oid
      AND pg_catalog.substring(p.prosrc, '${NUMBER_PATTERN}')::integer > ${number})
  THEN
    RETURN;
  END IF;`.trim();
}

/** Makes a function, unless a newer version of the package has made it. */
function functionTemplate(migration: SqlMigration, stored: StoredFunction): string {
  return `
DO $do$
DECLARE
  v_name CONSTANT text := {${stored.ending}.raw};
  v_schema record;
  v_body text := $body$${functionBody(migration, stored)}$body$;
  v_create text;
  v_old text;
BEGIN
  ${FIND_SCHEMA}
  ${leaveNewer(migration)}
  v_body := pg_catalog.replace(v_body, '{schema}', v_schema.name);
  v_create := pg_catalog.format('CREATE OR REPLACE FUNCTION %s.%I', v_schema.name, v_name)
    || pg_catalog.replace($head$${stored.head.trim()}$head$, '{schema}', v_schema.name)
    || ' SET search_path TO pg_catalog, pg_temp AS ' || pg_catalog.quote_literal(v_body);
  BEGIN
    EXECUTE v_create;
  EXCEPTION WHEN invalid_function_definition THEN
    -- Its parameters have other names.
    FOR v_old IN
      SELECT p.oid::pg_catalog.regprocedure::text FROM pg_catalog.pg_proc p
      WHERE p.proname = v_name AND p.pronamespace = v_schema.oid
    LOOP
      EXECUTE 'DROP FUNCTION ' || v_old;
    END LOOP;
    EXECUTE v_create;
  END;
  -- One whose parameters have other types is still there.
  FOR v_old IN
    SELECT p.oid::pg_catalog.regprocedure::text FROM pg_catalog.pg_proc p
    WHERE p.proname = v_name AND p.pronamespace = v_schema.oid AND p.prosrc <> v_body
  LOOP
    EXECUTE 'DROP FUNCTION ' || v_old;
  END LOOP;
END $do$;`.trim();
}

const EVENT_BITS = { INSERT: 4, DELETE: 8, UPDATE: 16, TRUNCATE: 32 } as const;

/** `pg_trigger.tgtype` of a statement-level trigger. Source: PostgreSQL's catalog/pg_trigger.h. @internal */
export function triggerType({ timing, events }: StoredTrigger): number {
  return events.reduce((bits, event) => bits | EVENT_BITS[event], timing === 'BEFORE' ? 2 : 0);
}

/**
 * Makes a trigger on the table and on each of its partitions, where it is missing or wrong, unless its
 * function is a newer version's.
 */
function triggerTemplate(migration: SqlMigration, trigger: StoredTrigger): string {
  const { ending, timing, events, oldTable, newTable } = trigger;
  const transitions = [
    ...(oldTable === undefined ? [] : [`OLD TABLE AS ${oldTable}`]),
    ...(newTable === undefined ? [] : [`NEW TABLE AS ${newTable}`]),
  ];
  const referencing = transitions.length === 0 ? '' : ` REFERENCING ${transitions.join(' ')}`;
  return `
DO $do$
DECLARE
  v_name CONSTANT text := {${ending}.raw};
  v_schema record;
  v_on text;
BEGIN
  ${FIND_SCHEMA}
  ${leaveNewer(migration)}
  -- A statement fires the triggers of the relation that it names, so each partition has its own. To
  -- drop a trigger that is right would wait for every read, and reads and writes would wait behind it.
  FOR v_on IN
    SELECT r.oid::pg_catalog.regclass::text
    FROM (
      SELECT pg_catalog.to_regclass({entries.text})::oid AS oid
      UNION ALL
      SELECT inhrelid FROM pg_catalog.pg_inherits
      WHERE inhparent = pg_catalog.to_regclass({entries.text})) r
    WHERE NOT EXISTS (
      SELECT FROM pg_catalog.pg_trigger t
      JOIN pg_catalog.pg_proc p ON p.oid = t.tgfoid
      WHERE t.tgrelid = r.oid AND t.tgname = v_name
        AND p.proname = v_name AND p.pronamespace = v_schema.oid
        AND t.tgenabled IN ('O', 'A') AND t.tgtype = ${triggerType(trigger)}
        AND t.tgqual IS NULL AND t.tgnargs = 0 AND t.tgattr = ''
        AND coalesce(t.tgoldtable, '') = '${oldTable ?? ''}'
        AND coalesce(t.tgnewtable, '') = '${newTable ?? ''}')
  LOOP
    EXECUTE pg_catalog.format('DROP TRIGGER IF EXISTS %I ON %s', v_name, v_on);
    EXECUTE pg_catalog.format(
      'CREATE TRIGGER %I ${timing} ${events.join(' OR ')} ON %s${referencing}
        FOR EACH STATEMENT EXECUTE FUNCTION %s.%I()',
      v_name, v_on, v_schema.name, v_name);
  END LOOP;
END $do$;`.trim();
}

/** The text of a planned migration that the server gets. @internal */
export function scriptOf(
  planned: PlannedMigration,
  direction: 'up' | 'down',
  values: Readonly<Record<string, string>>,
): string {
  return fillTemplate(scriptTemplate(planned.migration, direction), values);
}
