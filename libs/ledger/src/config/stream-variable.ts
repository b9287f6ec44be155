import { ledgerPrefix } from './setting-names.js';

/**
 * Suffix of the name. The address is not a setting, because settings are shown and an address may
 * contain a password.
 */
const SUFFIX = 'ASYNC_STREAM_URL';

/** A stream's address in the environment. @internal */
export interface StreamVariable {
  readonly name: string;
  /** Trimmed; an empty variable is refused, because it was set on purpose. */
  readonly url: string;
}

/** `LEDGER_ASYNC_STREAM_URL`, or `LEDGER_<NAME>_ASYNC_STREAM_URL` of a named ledger. @internal */
export function findStreamVariable(
  environment: Readonly<Record<string, string | undefined>>,
  ledger: string,
): StreamVariable | undefined {
  const name = `${ledgerPrefix(ledger)}${SUFFIX}`;
  const url = environment[name]?.trim();
  return url === undefined ? undefined : { name, url };
}

/** Whether a name is the stream variable of any ledger. @internal */
export function isStreamVariable(name: string): boolean {
  return /^LEDGER_(?:.+_)?ASYNC_STREAM_URL$/.test(name);
}
