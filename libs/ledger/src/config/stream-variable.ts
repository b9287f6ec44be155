import { ledgerPrefix } from './setting-names.js';

/** The end of the name; it is no setting, since settings are shown and an address may hold a password. */
const SUFFIX = 'ASYNC_STREAM_URL';

/** A stream's address in the environment. @internal */
export interface StreamVariable {
  readonly name: string;
  /** Without blanks around it; one that is set to nothing was meant for something, and is refused. */
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

/** Whether a name is that of the stream of any ledger. @internal */
export function isStreamVariable(name: string): boolean {
  return /^LEDGER_(?:.+_)?ASYNC_STREAM_URL$/.test(name);
}
