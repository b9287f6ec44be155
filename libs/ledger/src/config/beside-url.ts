import type { OptionsFault } from '../errors/ledger-options.error.js';
import { ADDRESS_PARTS, givenBeside, partsOf } from '../postgres/beside-address.js';
import { hostListAdvice } from '../postgres/host-list.js';
import { parseAddress, type PostgresAddress } from '../postgres/parse-address.js';
import { hasTls, URL_PARAMETERS } from '../postgres/url-parameters.js';
import type { LedgerConnectionOptions } from './ledger-options.interface.js';
import { NOT_SHOWN, showText } from './show-value.js';

/**
 * Finds options that code gives both in a URL and beside it; one of the two would silently have no
 * effect.
 *
 * @internal
 */
export function givenTwice(connection: LedgerConnectionOptions): OptionsFault[] {
  const address = read(connection.url);
  if (address === undefined) return [];
  const [own, beside] = [partsOf(address), givenBeside(connection)];
  const parts = ADDRESS_PARTS.filter((part) => {
    const isGiven = beside[part] !== undefined && beside[part] !== '';
    return own[part] !== undefined && isGiven && String(beside[part]) !== own[part];
  });
  const twice = [...parts, ...(hasTls(address) && connection.ssl !== undefined ? ['ssl'] : [])];
  return twice.map((part) => ({
    name: `connection.${part}`,
    value: NOT_SHOWN,
    rule: 'contradicts connection.url; give only one of them',
    source: 'code',
  }));
}

/**
 * The connection options of code to combine with a URL from the environment, which takes
 * precedence: all except those that the URL contains, and the port of another host.
 *
 * @returns also the names of ignored options that are probably intended: the password's function,
 * TLS
 * @internal
 */
export function besideUrl(
  connection: LedgerConnectionOptions,
  url: string,
): { readonly connection: LedgerConnectionOptions; readonly setAside: readonly string[] } {
  const address = read(url);
  if (address === undefined) return { connection: { ...connection, url }, setAside: [] };
  const own = partsOf(address);
  const kept: Record<string, unknown> = { ...connection, url };
  const setAside: string[] = [];
  for (const part of ADDRESS_PARTS) {
    const isOfHost = part === 'port' && own.host !== undefined;
    if (own[part] === undefined && !isOfHost) continue;
    if (typeof kept[part] === 'function') setAside.push(`connection.${part}`);
    delete kept[part];
  }
  if (hasTls(address) && kept['ssl'] !== undefined) {
    setAside.push('connection.ssl');
    delete kept['ssl'];
  }
  return { connection: kept, setAside };
}

/**
 * Warnings about a URL, one sentence each: parameters without effect, such as those of another
 * library, and several hosts without a choice among them.
 *
 * @param name under which the URL was given
 * @internal
 */
export function unwiseUrl(name: string, url: string | undefined): string[] {
  const address = read(url);
  const names = [...(address?.parameters.keys() ?? [])];
  const advice = address && hostListAdvice(address);
  const unknown = names
    .filter((each) => !URL_PARAMETERS.includes(each))
    .map(
      (each) =>
        `${name}: the URL's parameter ${showText(each)} is known to neither pg nor the ledger and has no effect.`,
    );
  return advice === undefined ? unknown : [...unknown, `${name}: ${advice}.`];
}

function read(url: string | undefined): PostgresAddress | undefined {
  if (!url) return undefined;
  try {
    return parseAddress(url);
  } catch {
    return undefined;
  }
}
