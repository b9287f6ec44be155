import { tableExtensions } from '../ledger.extensions.js';
import type { Command } from 'commander';
import { ledgerCommand, nameDefinition } from '../entry/ledger-command.js';
import type { LedgerTable } from '../entry/ledger-definition.js';
import { migrationSql } from '../migrations/ledger-migrations.js';
import { Deadline } from '../clock/deadline.js';
import type { PostgresOptions } from '../postgres/open.js';
import { withConnections } from '../postgres/with-connections.js';
import { settleIndexes } from '../migrations/build-indexes.js';
import { runMigrations } from '../migrations/run-migrations.js';
import { verifyTable } from '../migrations/verify-table.js';
import { ConnectError } from '../postgres/connect-error.js';
import { describeTarget } from '../postgres/describe-target.js';
import { readPgError } from '../postgres/read-pg-error.js';
import { dropRollups } from '../rollup/drop-rollups.js';
import { CommandError } from './command.error.js';
import type { CommandOutput } from './command-output.js';
import { databaseUrlOf } from './database-url.js';
import { addLedgerOptions, type LedgerCommandOptions } from './ledger-options.js';
import { loadDefinition } from './load-definition.js';

/** Options of `migrate`. @internal */
export interface MigrateOptions extends LedgerCommandOptions {
  /** Print the statements instead of running them. */
  readonly sql?: boolean;
  /** Drop rollups that are not in the definition. */
  readonly dropRollups?: boolean;
  /** Drop indexes that the ledger created and that are not in the definition. */
  readonly dropIndexes?: boolean;
  readonly json?: boolean;
}

const EXAMPLES = `
Examples:
  $ nestjs-ledger migrate --database-url postgres://localhost/app
  $ nestjs-ledger migrate -d dist/usage.ledger.js
  $ nestjs-ledger migrate -d dist/usage.ledger.js --sql > ledger.sql

Exit code: 0, or 2 if the command failed.`;

/** Adds `nestjs-ledger migrate`. @internal */
export function addMigrateCommand(program: Command, output: CommandOutput): void {
  const command = program
    .command('migrate')
    .description("create or complete a ledger's tables; safe to repeat, and to run concurrently")
    .option('--sql', 'print the statements instead of running them; needs no database')
    .option('--drop-rollups', 'drop rollups that are not in the definition')
    .option(
      '--drop-indexes',
      'drop indexes that the ledger created and that are not in the definition',
    )
    .option('--json', 'print names or statements as JSON')
    .addHelpText('after', EXAMPLES);
  addLedgerOptions(command).action(async (options: MigrateOptions) => {
    const { statements, migrated, differences, next } = await migrate(options);
    if (options.json) {
      const json = statements ? { statements } : { migrated, differences };
      output.line(JSON.stringify(json, null, 2));
    } else {
      for (const line of statements ?? linesOf(migrated)) output.line(line);
      if (next !== undefined && !statements) output.line(next);
    }
    if (differences.length === 0) return;
    throw new CommandError(
      `the tables do not match the definition, and a ledger would halt: ${differences.join('; ')}`,
    );
  });
}

/** Names of the migrations that ran, or the statements on request. @internal */
export interface MigrateReport {
  readonly migrated: readonly string[];
  readonly statements?: readonly string[];
  /** Differences from the definition that no migration changes, each with its remedy. */
  readonly differences: readonly string[];
  /** The next command; undefined if nothing is left to do. */
  readonly next?: string | undefined;
}

/** Time limit of the check of the tables after the migration. */
const LOOK_MS = 60_000;

/**
 * Migrates, or returns the statements.
 *
 * @throws CommandError if the definition can't be loaded, or the database can't be reached or refuses
 * @internal
 */
export async function migrate(options: MigrateOptions): Promise<MigrateReport> {
  // Faults of the definition are reported before a server is asked.
  const definition = await loadDefinition(options);
  const { connectionSchema: schema } = options;
  if (options.dropRollups && (definition.rollup || options.sql)) {
    const what = options.sql ? 'with --sql' : 'while the definition asks for rollups';
    throw new CommandError(`--drop-rollups can't be used ${what}`);
  }
  if (options.dropIndexes && options.sql) {
    throw new CommandError("--drop-indexes can't be used with --sql");
  }
  if (options.sql) {
    const placed = { ...definition, schema: definition.schema ?? schema };
    const statements = migrationSql(placed, tableExtensions);
    return { migrated: [], differences: [], statements };
  }
  const url = databaseUrlOf(options, definition);
  const connection: PostgresOptions = { type: 'postgres', url, schema };
  const named = (text: string): string => nameDefinition(text, options);
  try {
    const dropped = options.dropRollups ? await dropAll(connection, definition) : [];
    const migrated = await runMigrations(connection, definition, {
      extensions: tableExtensions,
    });
    // Runs once the table exists, without a time limit, because a person can interrupt it.
    const indexes = await settleIndexes(connection, definition, {
      extensions: tableExtensions,
      dropsSurplus: options.dropIndexes ?? false,
    });
    const built = indexes.built.map((name) => `index ${name}`);
    const gone = indexes.dropped.map((name) => `drop of index ${name}`);
    return {
      migrated: [...dropped, ...migrated, ...built, ...gone],
      differences: (await findDifferences(connection, definition)).map(named),
      next: nextStep(definition, options),
    };
  } catch (error) {
    const { text } = readPgError(error);
    const where = error instanceof ConnectError ? '' : ` (${describeTarget(connection)})`;
    throw new CommandError(`can't migrate: ${named(text)}${where}`);
  }
}

/** @returns the lines to report */
async function dropAll(connection: PostgresOptions, definition: LedgerTable): Promise<string[]> {
  return withConnections(connection, lookOptions(), (connections) =>
    connections.use(new Deadline(LOOK_MS), async (session) => {
      const schema = definition.schema ?? session.schema;
      return (await dropRollups(session, { ...definition, schema })) ? ['drop_rollups'] : [];
    }),
  );
}

async function findDifferences(
  connection: PostgresOptions,
  definition: LedgerTable,
): Promise<string[]> {
  const faults = await withConnections(connection, lookOptions(), (connections) =>
    connections.use(new Deadline(LOOK_MS), ({ query, schema }) =>
      verifyTable(query, definition, { extensions: tableExtensions, connectionSchema: schema }),
    ),
  );
  return faults
    .filter(({ kind }) => kind === 'different')
    .map(({ problem, remedy }) => `${problem} (${remedy})`);
}

/** Time limit of a check of the tables before or after the migration. */
function lookOptions(): Parameters<typeof withConnections>[1] {
  const signal = AbortSignal.timeout(LOOK_MS);
  return { applicationName: 'nestjs-ledger migrate', poolSize: 1, signal };
}

/** A migration creates the default partition only; the others depend on the date. */
function nextStep(definition: LedgerTable, options: LedgerCommandOptions): string | undefined {
  if (definition.partition === undefined) return undefined;
  const command = ledgerCommand('partitions create', definition, options.connectionSchema);
  const create = nameDefinition(command, options);
  return `next: \`${create}\` creates the partitions, unless the application's role owns the table and does so itself`;
}

function linesOf(migrated: readonly string[]): string[] {
  return migrated.length === 0
    ? ['nothing to migrate']
    : migrated.map((name) => `migrated ${name}`);
}
