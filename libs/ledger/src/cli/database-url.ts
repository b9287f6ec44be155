import { brokenUrlRule } from '../config/broken-url-rule.js';
import { ledgerPrefix } from '../config/setting-names.js';
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
  const url = findDatabaseUrl(given, ledger);
  if (url === undefined) {
    throw new CommandError('no database: give --database-url, or set LEDGER_DATABASE_URL');
  }
  const rule = brokenUrlRule(url);
  if (rule === undefined) return url;
  throw new CommandError(`the database's address (--database-url, or LEDGER_DATABASE_URL) ${rule}`);
}

/** The address that was given, unchecked; undefined if there is none. @internal */
export function findDatabaseUrl(
  { databaseUrl }: Given,
  { name }: Pick<LedgerTable, 'name'>,
): string | undefined {
  const {
    [`${ledgerPrefix(name)}DATABASE_URL`]: own,
    LEDGER_DATABASE_URL,
    DATABASE_URL,
  } = process.env;
  const url = databaseUrl ?? (own || LEDGER_DATABASE_URL || DATABASE_URL);
  return url?.trim() || undefined;
}
