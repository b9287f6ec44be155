import { quoteIdentifier } from '../postgres/quote-sql.js';
import { connectionSchema } from '../postgres/connection-schema.js';
import type { DataSource, MigrationInterface, QueryRunner } from 'typeorm';
import { NAME_ENDINGS } from '../entry/check-definition.js';
import { columnName } from '../entry/columns.js';
import type { ColumnType, LedgerTable } from '../entry/ledger-definition.js';
import { CHECK_EXPRESSIONS } from '../postgres/usage-entry.entity.js';
import { createGuard, dropGuard } from './immutable-migration.js';
import { createRollups, dropRollups, hasMoreDimensions } from '../rollup/rollup-migrations.js';
import { declaredDimensions } from '../rollup/rollup-tables.js';
import { tableNames } from '../postgres/table-names.js';
import type { TableNames } from '../postgres/table-names.js';
import { createDefaultPartitionSql } from '../postgres/default-partition-sql.js';

/** A class that TypeORM can run in any DataSource; its instances carry their name. @publicApi */
export type MigrationConstructor = new () => MigrationInterface & { readonly name: string };

/**
 * TypeORM orders migrations by these 13 digits (milliseconds since 1970) at the end of the name.
 * All columns share one: what tells their migrations apart is the name.
 */
const TIMESTAMPS = {
  entries: 1767225600000,
  deadLetters: 1767225600001,
  column: 1767225600002,
  rollups: 1767225600003,
  immutable: 1767225600004,
};

/**
 * Makes the migrations of one ledger, in order. Each may run twice, and finds what another way of
 * migrating made already.
 *
 * @returns a new array: the table, its dead letters, one for each declared column; the rollups and
 * the trigger of an immutable table where the ledger has them
 * @internal
 */
export function ledgerMigrations(table: LedgerTable): MigrationConstructor[] {
  return [...tableMigrations(table), ...sideMigrations(table)];
}

/** Those that make what entries are written to. @internal */
export function tableMigrations(table: LedgerTable): MigrationConstructor[] {
  return [
    migration(table, ['create_entries', TIMESTAMPS.entries], {
      up: (names) => createEntries(table, names),
      down: (names) => [`DROP TABLE IF EXISTS ${names.sqlEntries}`],
    }),
    migration(table, ['create_dead_letters', TIMESTAMPS.deadLetters], {
      up: (names) => createDeadLetters(table, names),
      down: (names) => [`DROP TABLE IF EXISTS ${names.sqlDeadLetters}`],
    }),
    ...Object.entries(table.columns).map(([field, type]) => addColumn(table, field, type)),
  ];
}

/** Those that entries can be written without, in order, after the others. @internal */
export function sideMigrations(table: LedgerTable): MigrationConstructor[] {
  return [
    ...(!table.rollup ? [] : [addRollups(table)]),
    ...(table.immutable === true ? [makeImmutable(table)] : []),
  ];
}

function makeImmutable(table: LedgerTable): MigrationConstructor {
  return migration(table, ['make_immutable', TIMESTAMPS.immutable], {
    up: (names) => createGuard(table, names),
    down: (names) => dropGuard(table, names),
  });
}

/** Its name holds the dimensions: others are another migration. */
function addRollups(table: LedgerTable): MigrationConstructor {
  const action = ['create_rollups', ...declaredDimensions(table)].join('+');
  return migration(table, [action, TIMESTAMPS.rollups], {
    isMoreThere: (names) => hasMoreDimensions(table, names),
    up: (names) => createRollups(table, names),
    down: (names) => dropRollups(table, names),
  });
}

/** TypeORM 0.3 calls it `connection`, and 1 that name deprecated. */
function dataSourceOf(queryRunner: QueryRunner): DataSource {
  return (queryRunner as Partial<QueryRunner>).dataSource ?? queryRunner.connection;
}

/** Creates a schema unless it is there. @internal */
export async function createSchema(queryRunner: QueryRunner, schema: string): Promise<void> {
  // IF NOT EXISTS alone asks for the right to create schemas even if there is nothing to create.
  const found = (await queryRunner.query(
    'SELECT 1 FROM pg_catalog.pg_namespace WHERE nspname = $1',
    [schema],
  )) as unknown[];
  if (found.length > 0) return;
  await queryRunner.query(`CREATE SCHEMA IF NOT EXISTS ${quoteIdentifier(schema)}`);
}

interface Statements {
  /** Answers with a row if the database has more than the statements would make. */
  readonly isMoreThere?: (names: TableNames) => { relation: string; sql: string };
  readonly up: (names: TableNames) => string[];
  readonly down: (names: TableNames) => string[];
}

/** The name holds schema and table, so that several ledgers can share a table of migrations. */
function migration(
  table: LedgerTable,
  [action, timestamp]: [action: string, timestamp: number],
  statements: Statements,
): MigrationConstructor {
  const path = [table.schema, table.table].filter((part) => part !== undefined);
  return class LedgerMigration implements MigrationInterface {
    readonly name = `${path.map(plainOrQuoted).join('.')}:${action}:${timestamp}`;

    async up(queryRunner: QueryRunner): Promise<void> {
      // A schema of the connection's options is the application's to create.
      if (table.schema !== undefined) await createSchema(queryRunner, table.schema);
      if (await isMoreThere(queryRunner)) return;
      await runAll(queryRunner, statements.up);
    }

    /** Leaves the schema: other tables may live there. */
    async down(queryRunner: QueryRunner): Promise<void> {
      await runAll(queryRunner, statements.down);
    }
  };

  async function isMoreThere(queryRunner: QueryRunner): Promise<boolean> {
    const names = tableNames(table, connectionSchema(dataSourceOf(queryRunner)));
    const look = statements.isMoreThere?.(names);
    if (look === undefined) return false;
    const [found] = (await queryRunner.query('SELECT to_regclass($1)::text AS name', [
      look.relation,
    ])) as { name: string | null }[];
    if (found?.name == null) return false;
    return ((await queryRunner.query(look.sql)) as unknown[]).length > 0;
  }

  async function runAll(queryRunner: QueryRunner, make: Statements['up']): Promise<void> {
    const names = tableNames(table, connectionSchema(dataSourceOf(queryRunner)));
    for (const sql of make(names)) await queryRunner.query(sql);
  }
}

function plainOrQuoted(name: string): string {
  return /^[a-z_][a-z0-9_]*$/.test(name) ? name : quoteIdentifier(name);
}

/** The statements of the first migration: the table without declared columns, and its indexes. @internal */
export function createEntries(table: LedgerTable, names: TableNames): string[] {
  const own = (ending: keyof typeof NAME_ENDINGS): string =>
    quoteIdentifier(table.table + NAME_ENDINGS[ending]);
  return [
    `CREATE TABLE IF NOT EXISTS ${names.sqlEntries} (
      uuid uuid NOT NULL CONSTRAINT ${own('primaryKey')} PRIMARY KEY,
      user_id ${table.ids} NOT NULL,
      api_key_id ${table.ids},
      service_id ${table.ids},
      prompt_tokens integer NOT NULL,
      completion_tokens integer NOT NULL,
      direction text NOT NULL
        CONSTRAINT ${own('directionCheck')} CHECK (${CHECK_EXPRESSIONS.direction}),
      memo text,
      attributes jsonb,
      corrects uuid,
      created_at timestamptz NOT NULL,
      written_at timestamptz NOT NULL DEFAULT now(),
      CONSTRAINT ${own('tokensCheck')} CHECK (${CHECK_EXPRESSIONS.tokens})
    )${table.partition === undefined ? '' : ' PARTITION BY RANGE (uuid)'}`,
    ...(table.partition === undefined ? [] : [createDefaultPartitionSql(names)]),
    `CREATE INDEX IF NOT EXISTS ${own('userIndex')}
      ON ${names.sqlEntries} (user_id, created_at)`,
    `CREATE INDEX IF NOT EXISTS ${own('apiKeyIndex')}
      ON ${names.sqlEntries} (api_key_id, created_at) WHERE api_key_id IS NOT NULL`,
  ];
}

function createDeadLetters(table: LedgerTable, names: TableNames): string[] {
  const primaryKey = quoteIdentifier(table.table + NAME_ENDINGS.deadLettersPrimaryKey);
  const uuidIndex = quoteIdentifier(table.table + NAME_ENDINGS.deadLettersUuidIndex);
  return [
    `CREATE TABLE IF NOT EXISTS ${names.sqlDeadLetters} (
      id uuid NOT NULL CONSTRAINT ${primaryKey} PRIMARY KEY,
      uuid uuid,
      reason text NOT NULL,
      sql_state text,
      detail text NOT NULL,
      attempts integer NOT NULL,
      queued_at timestamptz NOT NULL,
      dead_lettered_at timestamptz NOT NULL,
      entry jsonb NOT NULL,
      written_at timestamptz NOT NULL DEFAULT now()
    )`,
    `CREATE INDEX IF NOT EXISTS ${uuidIndex} ON ${names.sqlDeadLetters} (uuid)`,
  ];
}

function addColumn(table: LedgerTable, field: string, type: ColumnType): MigrationConstructor {
  const column = columnName(field);
  return migration(table, [`add_${column}`, TIMESTAMPS.column], {
    up: (names) => [addColumnSql(names, column, type)],
    down: ({ sqlEntries }) => [
      `ALTER TABLE IF EXISTS ${sqlEntries} DROP COLUMN IF EXISTS ${quoteIdentifier(column)}`,
    ],
  });
}

function addColumnSql({ sqlEntries }: TableNames, column: string, type: ColumnType): string {
  return `ALTER TABLE ${sqlEntries} ADD COLUMN IF NOT EXISTS ${quoteIdentifier(column)} ${type}`;
}

/**
 * The statements of all migrations, in order, for a person to run: each may be run again.
 *
 * @param schema of the connection; counts if the definition has none
 * @internal
 */
export function migrationSql(table: LedgerTable, schema?: string): string[] {
  const names = tableNames(table, schema);
  const columns = Object.entries(table.columns);
  return [
    ...(names.schema === undefined
      ? []
      : [`CREATE SCHEMA IF NOT EXISTS ${quoteIdentifier(names.schema)}`]),
    ...createEntries(table, names),
    ...createDeadLetters(table, names),
    ...columns.map(([field, type]) => addColumnSql(names, columnName(field), type)),
    ...createRollups(table, names),
    ...(table.immutable === true ? createGuard(table, names) : []),
  ];
}
