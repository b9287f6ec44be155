import { Option, type Command } from 'commander';

/** Adds the options that say which table of which database; those of `TableOptions`. @internal */
export function addTableOptions(command: Command): Command {
  return addDatabaseOption(command)
    .option('--schema <name>', "the table's schema, if it is not in the search path")
    .option('--table <name>', "the ledger's table", 'usage_entries');
}

/** Adds `--database-url`, which the environment stands in for. @internal */
export function addDatabaseOption(command: Command): Command {
  return command
    .addOption(
      // No default in the help: the value holds a password.
      new Option('--database-url <url>', 'default: LEDGER_DATABASE_URL, or DATABASE_URL'),
    )
    .hook('preAction', (_, action) => {
      const { LEDGER_DATABASE_URL, DATABASE_URL } = process.env;
      if (action.getOptionValue('databaseUrl') !== undefined) return;
      action.setOptionValue('databaseUrl', LEDGER_DATABASE_URL || DATABASE_URL);
    });
}
