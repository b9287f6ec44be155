import { quoteIdentifier } from '../postgres/quote-sql.js';
import type { TableFault } from '../postgres/table-fault.interface.js';
import type { LedgerTable } from '../entry/ledger-definition.js';
import { SinkHaltError } from '../errors/sink.errors.js';
import { verifyIndexes } from './verify-indexes.js';
import { expectedDeadLetters, expectedEntries } from './expected-tables.js';
import type { ExpectedColumn, ExpectedTable } from './expected-tables.js';
import { loadCatalog } from '../postgres/load-catalog.js';
import type { Catalog, FoundColumn, FoundTable, QueryFunction } from '../postgres/load-catalog.js';
import { migrateCommand } from '../entry/ledger-command.js';
import { conversionCheck, tableNames } from '../postgres/table-names.js';
import { adoptDefinition, immutablePlan } from './plan-migrations.js';
import type { TableExtension } from '../postgres/sql-migration.interface.js';
import { verifyStored } from '../postgres/verify-stored.js';

export type { QueryFunction } from '../postgres/load-catalog.js';

/** @internal */
export interface VerifyOptions {
  /** Additions of optional folders to the tables. */
  readonly extensions: readonly TableExtension[];
  /** The `schema` of the TypeORM options; used if the definition has none. */
  readonly connectionSchema?: string | undefined;
  /** Whether to check the table of dead letters too. Default: true. */
  readonly deadLetters?: boolean;
}

/** The server's SQLSTATE for each kind, so that a log search finds both. */
const SQL_STATES = { missing: '42P01', different: '42804', privilege: '42501', warning: undefined };

/**
 * Compares the tables on the server with the definition. One round trip, and one or two for each
 * extension that the definition uses; changes nothing.
 *
 * @returns all differences, those of tables before those of columns; empty if there is none
 * @throws any error of the query
 * @internal
 */
export async function verifyTable(
  query: QueryFunction,
  definition: LedgerTable,
  options: VerifyOptions,
): Promise<TableFault[]> {
  const names = tableNames(definition, options.connectionSchema);
  const expected = [
    { table: expectedEntries(definition), sqlName: names.sqlEntries },
    { table: expectedDeadLetters(definition), sqlName: names.sqlDeadLetters },
  ].slice(0, options.deadLetters === false ? 1 : 2);
  const catalog = await loadCatalog(
    query,
    expected.map(({ table }) => table.name),
    names.schema,
  );
  const faults = checkSchema(catalog, names.schema);
  const migrate = `run \`${migrateCommand(definition, options.connectionSchema)}\`, or set migrations: 'run'`;
  for (const [index, { table, sqlName }] of expected.entries()) {
    const comparison = { catalog, expected: table, sqlName, migrate };
    faults.push(...compare(comparison, catalog.tables[index] ?? null));
  }
  const [entries] = catalog.tables;
  if (entries && faults.every(({ kind }) => kind === 'warning')) {
    const placed = { ...definition, schema: names.schema };
    const plan = immutablePlan(definition);
    faults.push(...verifyStored({ plan, definition: placed, found: entries, remedy: migrate }));
    const asked = {
      sqlName: names.sqlEntries,
      remedy: `run \`${migrateCommand(definition, options.connectionSchema)}\``,
    };
    faults.push(...verifyIndexes(definition, entries, asked));
    faults.push(...(await verifyExtensions(query, placed, options)));
  }
  return faults;
}

async function verifyExtensions(
  query: QueryFunction,
  placed: LedgerTable,
  { extensions, connectionSchema }: VerifyOptions,
): Promise<TableFault[]> {
  if (extensions.length === 0) return [];
  const adopted = await adoptDefinition(query, placed, placed.schema, extensions);
  const faults: TableFault[] = [];
  for (const extension of extensions)
    faults.push(...(await extension.verify(query, adopted, connectionSchema)));
  return faults;
}

/**
 * Throws if there are faults other than warnings.
 *
 * @throws SinkHaltError that lists all these faults with their remedies
 * @internal
 */
export function haltOnFaults(definition: LedgerTable, faults: readonly TableFault[]): void {
  const halting = faults.filter(({ kind }) => kind !== 'warning');
  const [first] = halting;
  if (!first) return;
  const sentences = halting.map(({ problem, remedy }) => `${problem} (${remedy})`);
  const sqlState = SQL_STATES[first.kind];
  throw new SinkHaltError(
    `the table of ledger ${definition.name} does not match its definition: ${sentences.join('; ')}`,
    { subject: first.subject, ...(sqlState === undefined ? {} : { sqlState }) },
  );
}

function role(catalog: Catalog): string {
  return quoteIdentifier(catalog.role);
}

function checkSchema(catalog: Catalog, schema: string | undefined): TableFault[] {
  if (schema === undefined || catalog.mayUseSchema || !catalog.hasSchema) return [];
  const name = quoteIdentifier(schema);
  return [
    {
      kind: 'privilege',
      subject: schema,
      problem: `the role may not use schema ${name}`,
      remedy: `GRANT USAGE ON SCHEMA ${name} TO ${role(catalog)}`,
    },
  ];
}

interface Comparison {
  readonly catalog: Catalog;
  readonly expected: ExpectedTable;
  readonly sqlName: string;
  /** The remedy for objects that migrations make. */
  readonly migrate: string;
}

function compare(comparison: Comparison, found: FoundTable | null): TableFault[] {
  const { expected, sqlName, migrate } = comparison;
  const subject = expected.name;
  if (!found) {
    return [{ kind: 'missing', subject, problem: `table ${sqlName} is missing`, remedy: migrate }];
  }
  if (found.kind !== 'r' && found.kind !== 'p') {
    const problem = `${sqlName} is not a table`;
    const remedy =
      "give the ledger another table name; of a view that takes rows: migrations: 'off'";
    return [{ kind: 'different', subject, problem, remedy }];
  }
  const faults: TableFault[] = [];
  for (const column of expected.columns) {
    const match = found.columns.find(({ name }) => name === column.name);
    faults.push(...(match ? compareColumn(sqlName, column, match) : missing(comparison, column)));
  }
  if (!found.uniqueColumns.includes(expected.key)) {
    faults.push({
      kind: 'different',
      subject: expected.key,
      problem: `${sqlName} has no unique index on ${expected.key} alone`,
      remedy: `CREATE UNIQUE INDEX ON ${sqlName} (${expected.key})`,
    });
  }
  faults.push(...unknownColumns(sqlName, expected, found), ...privileges(comparison, found));
  faults.push(...leftCheck(sqlName, expected, found));
  faults.push(...insertRules(sqlName, found), ...openChildren(expected, found));
  faults.push(...unloggedTables(found));
  return faults;
}

/** Remains of a killed conversion. A running one has the check too, for minutes. */
function leftCheck(sqlName: string, { name }: ExpectedTable, found: FoundTable): TableFault[] {
  const check = conversionCheck(name);
  if (!found.checks.includes(check)) return [];
  return [
    {
      kind: 'warning',
      subject: check,
      problem: `${sqlName} was half converted to partitions: ${check} will refuse entries some day`,
      remedy: `ALTER TABLE ${sqlName} DROP CONSTRAINT ${quoteIdentifier(check)}, or convert again`,
    },
  ];
}

/** Source: PostgreSQL's manual, COPY: it invokes triggers, and no rules. */
function insertRules(sqlName: string, { insertRules: rules }: FoundTable): TableFault[] {
  return rules.map((name) => ({
    kind: 'warning',
    object: 'rule',
    subject: name,
    problem: `rule ${name} of ${sqlName} is not run by COPY, only with strategy: 'insert'`,
    remedy: 'make it a trigger',
  }));
}

/** Source: PostgreSQL's manual, CREATE TABLE: it is truncated after a crash, and not replicated. */
function unloggedTables({ unlogged }: FoundTable): TableFault[] {
  return unlogged.map((name) => ({
    kind: 'warning',
    subject: name,
    problem: `${name} is UNLOGGED: a crash of the server deletes its entries, and no standby has them`,
    remedy: `ALTER TABLE ${name} SET LOGGED`,
  }));
}

/** A trigger may put rows into children, which the parent's index does not cover. */
function openChildren({ key }: ExpectedTable, { children }: FoundTable): TableFault[] {
  return children
    .filter(({ uniqueWith }) => !uniqueWith.includes(key))
    .map(({ name }) => ({
      kind: 'warning',
      subject: name,
      problem: `${name}, a child table, has no unique index with ${key}: a repeated entry is written twice`,
      remedy: `CREATE UNIQUE INDEX ON ${name} (${key})`,
    }));
}

function privileges({ catalog, expected, sqlName }: Comparison, found: FoundTable): TableFault[] {
  const names = expected.columns.map(({ name }) => name);
  const known = found.columns.filter(({ name }) => names.includes(name));
  const written = known.filter(({ name }) => name !== 'written_at');
  const denied = [
    ...(written.every(({ mayInsert }) => mayInsert) ? [] : ['INSERT']),
    ...(known.every(({ maySelect }) => maySelect) ? [] : ['SELECT']),
  ].join(', ');
  if (denied === '') return [];
  const problem = `the role may not ${denied} on ${sqlName}`;
  const remedy = `GRANT ${denied} ON ${sqlName} TO ${role(catalog)}`;
  return [{ kind: 'privilege', subject: expected.name, problem, remedy }];
}

/** Declared columns have their own migrations; without the others it is a different table. */
function missing(
  { sqlName, migrate }: Comparison,
  { name, type, isDeclared }: ExpectedColumn,
): TableFault[] {
  const problem = `column ${name} of ${sqlName} is missing`;
  if (isDeclared) return [{ kind: 'missing', subject: name, problem, remedy: migrate }];
  const remedy = `ALTER TABLE ${sqlName} ADD COLUMN ${quoteIdentifier(name)} ${type}`;
  return [{ kind: 'different', subject: name, problem, remedy }];
}

function compareColumn(
  sqlName: string,
  expected: ExpectedColumn,
  found: FoundColumn,
): TableFault[] {
  const { name: subject, type } = expected;
  const column = `column ${subject} of ${sqlName}`;
  const alter = `ALTER TABLE ${sqlName} ALTER COLUMN ${quoteIdentifier(subject)}`;
  const fault = (problem: string, remedy: string): TableFault[] => [
    { kind: 'different', subject, problem: `${column} ${problem}`, remedy },
  ];
  if (found.type !== type) {
    const remedy = `${alter} TYPE ${type}, or change the definition`;
    return fault(`has type ${found.type} instead of ${type}`, remedy);
  }
  if (found.isGenerated) return fault('is generated', `${alter} DROP EXPRESSION`);
  if (expected.isNullable && !found.isNullable) {
    return fault('does not take NULL', `${alter} DROP NOT NULL`);
  }
  if (!expected.isWritten && !found.isNullable && !found.hasDefault) {
    return fault('has no default', `${alter} SET DEFAULT now()`);
  }
  if (!expected.isNullable && found.isNullable) {
    const problem = `${column} takes NULL`;
    return [{ kind: 'warning', subject, problem, remedy: `${alter} SET NOT NULL` }];
  }
  return [];
}

/** Foreign columns are accepted if the server can fill them. */
function unknownColumns(sqlName: string, expected: ExpectedTable, found: FoundTable): TableFault[] {
  return found.columns
    .filter(({ name }) => !expected.columns.some((column) => column.name === name))
    .filter(({ isNullable, hasDefault }) => !isNullable && !hasDefault)
    .map(({ name }) => ({
      kind: 'different',
      subject: name,
      problem: `column ${name} of ${sqlName} is NOT NULL without a default; the ledger has no value`,
      remedy: `ALTER TABLE ${sqlName} ALTER COLUMN ${quoteIdentifier(name)} DROP NOT NULL`,
    }));
}
