import { Option, type Command } from 'commander';
import type { DefinitionOptions } from './load-definition.js';

/** Which ledger a command is for, and in which database. @internal */
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
      // No default in the help: the value holds a password.
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
 * What to do instead, for a person who gives a flag that is gone.
 *
 * @param message of commander, which quotes the option that it does not know
 * @internal
 */
export function hintForRemovedOption(message: string): string | undefined {
  const given = /'(--[a-z-]+)/.exec(message)?.[1];
  if (given === undefined || !REMOVED.includes(given)) return undefined;
  return (
    `hint: ${given} is gone. Give the definition itself: -d <module>, such as -d dist/usage.ledger.js. ` +
    'For the schema of a TypeORM connection there is --connection-schema <name>.'
  );
}
