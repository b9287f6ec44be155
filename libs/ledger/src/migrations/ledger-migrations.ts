import type { DataSource, MigrationInterface, QueryRunner } from 'typeorm';
import type { LedgerTable } from '../entry/ledger-definition.js';
import { connectionSchema } from '../postgres/connection-schema.js';
import { literalSql, quoteIdentifier } from '../postgres/quote-sql.js';
import { scriptOf, valuesOf } from '../postgres/migration-script.js';
import type { PlannedMigration, TableExtension } from '../postgres/sql-migration.interface.js';
import { planMigrations } from './plan-migrations.js';

/** A class that TypeORM can run in any DataSource; its instances carry their name. */
export type MigrationConstructor = new () => MigrationInterface & { readonly name: string };

/**
 * TypeORM orders migrations by 13 digits (milliseconds since 1970) at the end of the name.
 * Migration 1 has this number, and each later one adds one.
 */
const FIRST_TIMESTAMP = 1_767_225_600_000;

/**
 * The recorded name of a migration. It contains schema and table, so that several ledgers can share
 * a table of migrations.
 *
 * @param definition as given: its schema, not the connection's, is part of the name
 * @internal
 */
export function migrationName(
  { schema, table }: Pick<LedgerTable, 'schema' | 'table'>,
  { migration, action = migration.action }: PlannedMigration,
): string {
  const path = [schema, table].filter((part) => part !== undefined);
  return `${path.map(plainOrQuoted).join('.')}:${action}:${timestampOf(migration.number)}`;
}

/** @internal */
export function timestampOf(number: number): number {
  return FIRST_TIMESTAMP + number - 1;
}

function plainOrQuoted(name: string): string {
  return /^[a-z_][a-z0-9_]*$/.test(name) ? name : quoteIdentifier(name);
}

/**
 * The text sent to the server for one migration by every runner: a simple query of several
 * statements.
 *
 * @param schema effective schema
 * @internal
 */
export function migrationText(
  definition: LedgerTable,
  planned: PlannedMigration,
  schema: string | undefined,
): string {
  const values = valuesOf(planned, definition, schema);
  // A name may contain a line break, which would end the comment.
  const name = migrationName(definition, planned).replaceAll(/[\r\n]/g, ' ');
  const title = `-- nestjs-ledger, migration ${planned.migration.number}: ${name}`;
  return `${title}\n${scriptOf(planned, 'up', values)}`;
}

/**
 * Creates a schema unless it exists. `IF NOT EXISTS` alone requires the right to create schemas
 * even if the schema exists.
 *
 * @internal
 */
export function createSchemaText(schema: string): string {
  const name = quoteIdentifier(schema);
  return `DO ${literalSql(`BEGIN
  IF pg_catalog.to_regnamespace(${literalSql(name)}) IS NULL THEN
    CREATE SCHEMA IF NOT EXISTS ${name};
  END IF;
END`)};`;
}

/**
 * The scripts of all migrations, in order, to be run by a person: exactly those that the runner
 * would send to an empty database. Each may run again.
 *
 * @param schema of the connection; used if the definition has none
 * @internal
 */
export function migrationSql(
  definition: LedgerTable,
  extensions: readonly TableExtension[],
  connectionSchema?: string,
): string[] {
  const schema = definition.schema ?? connectionSchema;
  return [
    ...(schema === undefined ? [] : [createSchemaText(schema)]),
    ...planMigrations(definition, extensions).map((planned) =>
      migrationText(definition, planned, schema),
    ),
  ];
}

/**
 * Makes the migrations of one ledger for TypeORM, in order. Each may run twice, and accepts objects
 * made by another runner.
 *
 * @param extensions additions of optional folders
 * @internal
 */
export function ledgerMigrations(
  definition: LedgerTable,
  extensions: readonly TableExtension[],
): MigrationConstructor[] {
  return planMigrations(definition, extensions).map((planned) =>
    migrationClass(definition, planned),
  );
}

function migrationClass(definition: LedgerTable, planned: PlannedMigration): MigrationConstructor {
  return class LedgerMigration implements MigrationInterface {
    readonly name = migrationName(definition, planned);

    async up(queryRunner: QueryRunner): Promise<void> {
      const schema = schemaOf(queryRunner);
      // The application creates the schema of the connection's options.
      if (definition.schema !== undefined) {
        await queryRunner.query(createSchemaText(definition.schema));
      }
      const query = (sql: string, values: unknown[]): Promise<unknown> =>
        queryRunner.query(sql, values);
      if ((await planned.isSurpassed?.(query, schema)) === true) return;
      await queryRunner.query(migrationText(definition, planned, schema));
    }

    /** Keeps the schema, which may contain other tables. */
    async down(queryRunner: QueryRunner): Promise<void> {
      const values = valuesOf(planned, definition, schemaOf(queryRunner));
      await queryRunner.query(scriptOf(planned, 'down', values));
    }
  };

  function schemaOf(queryRunner: QueryRunner): string | undefined {
    return definition.schema ?? connectionSchema(dataSourceOf(queryRunner));
  }
}

/** TypeORM 0.3 calls it `connection`; TypeORM 1 deprecates that name. */
function dataSourceOf(queryRunner: QueryRunner): DataSource {
  return (queryRunner as Partial<QueryRunner>).dataSource ?? queryRunner.connection;
}
