import { brokenUrlRule } from '../config/broken-url-rule.js';
import { findDatabaseVariable, type DatabaseVariable } from '../config/database-variable.js';
import type { LedgerTable } from '../entry/ledger-definition.js';
import { CommandError } from './command.error.js';

interface Given {
  readonly databaseUrl?: string;
}

/**
 * A database's address, checked as far as its text allows.
 *
 * @param ledger a named one has its own variable, like in the application
 * @throws CommandError if there is none, or with the rule that it breaks, like at an application's
 * boot; never with the address, which contains a password
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

/** The given address, unchecked, and its source; undefined if there is none. @internal */
export function findDatabase(
  { databaseUrl }: Given,
  { name }: Pick<LedgerTable, 'name'>,
): DatabaseVariable | undefined {
  const url = databaseUrl?.trim();
  return url ? { name: '--database-url', url } : findDatabaseVariable(process.env, name);
}
