import { Option, type Command } from 'commander';
import type { DefinitionOptions } from './load-definition.js';

/** The ledger and the database of a command. @internal */
export interface LedgerCommandOptions extends DefinitionOptions {
  readonly databaseUrl?: string;
  /** The `schema` of the application's TypeORM connection. */
  readonly connectionSchema?: string;
}

/** Flags that spelled a definition in 0.1.0. */
const REMOVED = [
  ...['--schema', '--table', '--ids', '--column', '--partition'],
  ...['--rollup', '--no-rollup', '--immutable'],
];

/** Adds the options of `LedgerCommandOptions`. @internal */
export function addLedgerOptions(command: Command): Command {
  return command
    .addOption(
      // No default in the help, because the value contains a password.
      new Option('--database-url <url>', 'default: LEDGER_DATABASE_URL, or DATABASE_URL'),
    )
    .option(
      '-d, --definition <module>',
      "module that exports the ledger's definition (default: the default ledger)",
    )
    .option('--ledger <name>', 'which ledger, if the module exports several')
    .option(
      '--connection-schema <name>',
      "`schema` of the application's TypeORM connection, if it has one",
    );
}

/**
 * The replacement of a removed flag.
 *
 * @param message of commander, with the unknown option in quotes
 * @internal
 */
export function hintForRemovedOption(message: string): string | undefined {
  const given = /'(--[a-z-]+)/.exec(message)?.[1];
  if (given === undefined || !REMOVED.includes(given)) return undefined;
  return (
    `hint: ${given} was removed. Give the definition itself: -d <module>, such as -d dist/usage.ledger.js. ` +
    'For the schema of a TypeORM connection use --connection-schema <name>.'
  );
}
