import type { Command } from 'commander';
import { migrationSql } from '../migrations/ledger-migrations.js';
import { runMigrations } from '../migrations/run-migrations.js';
import { readPgError } from '../sink/postgres/read-pg-error.js';
import { CommandError } from './command.error.js';
import type { CommandOutput } from './command-output.js';
import { databaseUrlOf } from './database-url.js';
import {
  addDefinitionOptions,
  definitionOf,
  type TableDefinitionOptions,
} from './definition-options.js';
import { addTableOptions } from './table-options.js';

/** What `migrate` is told. @internal */
export interface MigrateOptions extends TableDefinitionOptions {
  /** Print the statements instead of running them. */
  readonly sql?: boolean;
  readonly json?: boolean;
}

const EXAMPLES = `
Examples:
  $ nestjs-ledger migrate --database-url postgres://localhost/app
  $ nestjs-ledger migrate --ids text --column tenantId:uuid --column costNanos:bigint
  $ nestjs-ledger migrate --schema metering --sql > ledger.sql

Exit code: 0, or 2 if it could not be done.`;

/** Adds `nestjs-ledger migrate`. @internal */
export function addMigrateCommand(program: Command, output: CommandOutput): void {
  const command = program
    .command('migrate')
    .description("make or complete a ledger's tables; may be run again, and by many at once")
    .option('--sql', 'print the statements instead of running them')
    .option('--json', 'print names or statements as JSON')
    .addHelpText('after', EXAMPLES);
  addTableOptions(addDefinitionOptions(command)).action(async (options: MigrateOptions) => {
    const { statements, migrated } = await migrate(options);
    if (options.json)
      output.line(JSON.stringify(statements ? { statements } : { migrated }, null, 2));
    else for (const line of statements ?? linesOf(migrated)) output.line(line);
  });
}

/** Names of what ran, or the statements, each with its `;`, if they were asked for. @internal */
export interface MigrateReport {
  readonly migrated: readonly string[];
  readonly statements?: readonly string[];
}

/**
 * Migrates, or tells the statements.
 *
 * @throws CommandError if the database can't be reached or refuses; LedgerDefinitionError with all
 * faults of the definition
 * @internal
 */
export async function migrate(options: MigrateOptions): Promise<MigrateReport> {
  const definition = await definitionOf(options);
  if (options.sql) {
    return { migrated: [], statements: migrationSql(definition).map((each) => `${each};`) };
  }
  const connection = { type: 'postgres', url: databaseUrlOf(options) } as const;
  try {
    return { migrated: await runMigrations(connection, definition) };
  } catch (error) {
    throw new CommandError(`can't migrate: ${readPgError(error).text}`);
  }
}

function linesOf(migrated: readonly string[]): string[] {
  return migrated.length === 0
    ? ['nothing to migrate']
    : migrated.map((name) => `migrated ${name}`);
}
