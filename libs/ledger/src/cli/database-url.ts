import { brokenUrlRule } from '../config/broken-url-rule.js';
import { findDatabaseVariable, type DatabaseVariable } from '../config/database-variable.js';
import type { LedgerTable } from '../entry/ledger-definition.js';
import { CommandError } from './command.error.js';

interface Given {
  readonly databaseUrl?: string;
}

/**
 * A database's address that can be used, as far as its text says.
 *
 * @param ledger a named one has a variable of its own, as in the application
 * @throws CommandError if there is none, or with the rule that it breaks, as an application's boot
 *   tells it; never with the address itself, which holds a password
 * @internal
 */
export function databaseUrlOf(given: Given, ledger: Pick<LedgerTable, 'name'>): string {
  const found = findDatabase(given, ledger);
  if (found === undefined) {
    throw new CommandError(
      'no database: give --database-url, or set LEDGER_DATABASE_URL or DATABASE_URL',
    );
  }
  const { name, url } = found;
  const rule = brokenUrlRule(url);
  if (rule === undefined) return url;
  throw new CommandError(`the database's address (${name}) ${rule}`);
}

/** The address that was given, unchecked, and by what; undefined if there is none. @internal */
export function findDatabase(
  { databaseUrl }: Given,
  { name }: Pick<LedgerTable, 'name'>,
): DatabaseVariable | undefined {
  const url = databaseUrl?.trim();
  return url ? { name: '--database-url', url } : findDatabaseVariable(process.env, name);
}
