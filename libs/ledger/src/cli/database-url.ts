import { brokenUrlRule } from '../config/broken-url-rule.js';
import { CommandError } from './command.error.js';

/**
 * A database's address that can be used, as far as its text says.
 *
 * @throws CommandError if there is none, or with the rule that it breaks, as an application's boot
 *   tells it; never with the address itself, which holds a password
 * @internal
 */
export function databaseUrlOf({ databaseUrl }: { readonly databaseUrl?: string }): string {
  const url = databaseUrl?.trim();
  if (!url) {
    throw new CommandError('no database: give --database-url, or set LEDGER_DATABASE_URL');
  }
  const rule = brokenUrlRule(url);
  if (rule === undefined) return url;
  throw new CommandError(`the database's address (--database-url, or LEDGER_DATABASE_URL) ${rule}`);
}
