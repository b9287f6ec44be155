import { InvalidArgumentError, Option, type Command } from 'commander';
import { defineLedger, type LedgerDefinition } from '../define-ledger.js';
import type { ColumnType, DeclaredColumns, IdType } from '../entry/ledger-definition.js';
import { migrationSql } from '../migrations/ledger-migrations.js';
import { runMigrations } from '../migrations/run-migrations.js';
import { readPgError } from '../sink/postgres/read-pg-error.js';
import type { TableOptions } from './command-database.js';
import { CommandError } from './command.error.js';
import type { CommandOutput } from './command-output.js';
import { addTableOptions } from './table-options.js';

/** What `migrate` is told: the definition, as `defineLedger` takes it. @internal */
export interface MigrateOptions extends TableOptions {
  readonly ids: IdType;
  /** Declared columns by entry field. */
  readonly column?: DeclaredColumns;
  /** Print the statements instead of running them. */
  readonly sql?: boolean;
}

const EXAMPLES = `
Examples:
  $ nestjs-ledger migrate --database-url postgres://localhost/app
  $ nestjs-ledger migrate --ids text --column tenantId:uuid --column costNanos:bigint
  $ nestjs-ledger migrate --schema metering --sql > ledger.sql`;

/** Adds `nestjs-ledger migrate`. @internal */
export function addMigrateCommand(program: Command, output: CommandOutput): void {
  const command = program
    .command('migrate')
    .description("make or complete a ledger's tables; may be run again, and by many at once")
    .addOption(
      new Option('--ids <type>', 'type of userId, apiKeyId and serviceId')
        .choices(['bigint', 'uuid', 'text'])
        .default('bigint'),
    )
    .option('--column <field:type>', 'a declared column; may be given again', collectColumn)
    .option('--sql', 'print the statements instead of running them')
    .addHelpText('after', EXAMPLES);
  addTableOptions(command).action(async (options: MigrateOptions) => {
    for (const line of await migrate(options)) output.line(line);
  });
}

/**
 * Migrates, or tells the statements.
 *
 * @returns lines for a person, or SQL
 * @throws CommandError if the database can't be reached or refuses; LedgerDefinitionError with all
 * faults of the definition
 * @internal
 */
export async function migrate(options: MigrateOptions): Promise<string[]> {
  const { databaseUrl, sql } = options;
  const definition = definitionOf(options);
  if (sql) return migrationSql(definition).map((statement) => `${statement};`);
  if (!databaseUrl) {
    throw new CommandError('no database: give --database-url, or set LEDGER_DATABASE_URL');
  }
  try {
    const ran = await runMigrations({ type: 'postgres', url: databaseUrl }, definition);
    return ran.length === 0 ? ['nothing to migrate'] : ran.map((name) => `migrated ${name}`);
  } catch (error) {
    throw new CommandError(`can't migrate: ${readPgError(error).text}`);
  }
}

function definitionOf({ schema, table, ids, column }: MigrateOptions): LedgerDefinition {
  return defineLedger<IdType, DeclaredColumns>({ schema, table, ids, columns: column });
}

function collectColumn(text: string, before: DeclaredColumns = {}): DeclaredColumns {
  const [field, type, ...rest] = text.split(':');
  if (!field || !type || rest.length > 0) {
    throw new InvalidArgumentError('must be field:type, like costNanos:bigint');
  }
  // Field and type are checked with the rest of the definition.
  return { ...before, [field]: type as ColumnType };
}
