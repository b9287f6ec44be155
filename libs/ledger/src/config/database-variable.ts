import { ledgerPrefix } from './setting-names.js';

/** The variable that hosting platforms and other libraries set too; read last. @internal */
export const COMMON_DATABASE_VARIABLE = 'DATABASE_URL';

/** A database's address in the environment. @internal */
export interface DatabaseVariable {
  readonly name: string;
  /** Trimmed. */
  readonly url: string;
}

/**
 * The first variable that names a ledger's database: `LEDGER_<NAME>_DATABASE_URL` of a named
 * ledger, `LEDGER_DATABASE_URL`, `DATABASE_URL`. Applications and commands read them in this order.
 * An empty variable of the ledger's own is returned as well and then refused, because it was set on
 * purpose.
 *
 * @param ledger its name
 * @internal
 */
export function findDatabaseVariable(
  environment: Readonly<Record<string, string | undefined>>,
  ledger: string,
): DatabaseVariable | undefined {
  const own = `${ledgerPrefix(ledger)}DATABASE_URL`;
  for (const name of [own, 'LEDGER_DATABASE_URL']) {
    const url = environment[name]?.trim();
    if (url !== undefined) return { name, url };
  }
  const common = environment[COMMON_DATABASE_VARIABLE]?.trim();
  return common ? { name: COMMON_DATABASE_VARIABLE, url: common } : undefined;
}
