/** One server of an address. @internal */
export interface ServerPlace {
  /** Name, IP address or folder of a unix socket. */
  readonly host: string;
  /** Undefined if the address has none. */
  readonly port: string | undefined;
}

/**
 * Scheme and user, hosts separated by commas, the rest. A host never contains `@`, but a password
 * may.
 */
const LIST = /^(postgres(?:ql)?:\/\/(?:[^/?#]*@)?)([^/?#@]*,[^/?#@]*)((?:[/?#].*)?)$/is;
/** `[::1]:5433`, `db.example:5433`, `%2Frun%2Fpostgresql`. */
const PLACE = /^(\[[^\]]+\]|[^:[\]]+)(?::(\d+))?$/;

/** An address whose URL names one host, and all its original hosts. @internal */
export interface SplitAddress {
  /** With the first host only: no URL can hold several with ports. */
  readonly url: string;
  /** Undefined if it named one or none. */
  readonly places: readonly ServerPlace[] | undefined;
}

/**
 * Separates the list of hosts from `postgres://app@h1:5432,h2:5433/app`. Source:
 * https://www.postgresql.org/docs/current/libpq-connect.html, "Specifying Multiple Hosts".
 *
 * @throws Error without the address if a host of the list is empty or its port is not a number
 * @internal
 */
export function splitHosts(url: string): SplitAddress {
  const found = LIST.exec(url);
  if (!found) return { url, places: undefined };
  const [, before, list, after] = found as unknown as [string, string, string, string];
  const items = list.split(',');
  return { url: `${before}${items[0]}${after}`, places: items.map(readPlace) };
}

function readPlace(item: string): ServerPlace {
  const [, host, port] = PLACE.exec(item) ?? [];
  if (host === undefined) throw new Error('not a URL');
  return { host: decodeURIComponent(host.replace(/^\[(.+)\]$/, '$1')), port };
}

/** The hosts of `?host=h1,h2&port=5432,5433`; a single port applies to all. @internal */
export function listedHosts(host: string, port: string | undefined): ServerPlace[] {
  const ports = port ? port.split(',') : [];
  return host.split(',').map((each, at) => ({
    host: each,
    port: (ports.length > 1 ? ports[at] : ports[0]) || undefined,
  }));
}

/** The same address with one of its hosts, for code that connects with `pg` alone. @internal */
export function addressOfHost(url: string, { host, port }: ServerPlace): string {
  const found = LIST.exec(url);
  if (found) {
    const name = host.includes(':') ? `[${host}]` : encodeURIComponent(host);
    return `${found[1]}${name}${port ? `:${port}` : ''}${found[3]}`;
  }
  const value = (text: string): string => encodeURIComponent(text);
  const withHost = url.replace(/([?&]host=)[^&#]*/, (_, name: string) => name + value(host));
  return withHost.replace(/([?&]port=)[^&#]*/, (_, name: string) => name + value(port ?? ''));
}
