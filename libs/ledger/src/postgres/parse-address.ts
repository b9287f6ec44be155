import { listedHosts, splitHosts, type ServerPlace } from './address-hosts.js';

/** The parts of an address; missing ones are undefined. @internal */
export interface PostgresAddress {
  /** Name, IP address or folder of a unix socket; the first of several. */
  readonly host: string | undefined;
  /** Port of that host. */
  readonly port: string | undefined;
  /** All hosts in the order of the address; empty if it names none. */
  readonly hosts: readonly ServerPlace[];
  readonly user: string | undefined;
  readonly password: string | undefined;
  readonly database: string | undefined;
  /** All parameters after the question mark, in order. */
  readonly parameters: ReadonlyMap<string, string>;
}

/** Placeholder for an empty host, which a URL with a user can't have. */
const NO_HOST = '___no_host___';
/** Characters that `pg` percent-encodes itself: blanks, and a percent sign that encodes nothing. */
const NEEDS_ENCODING = / |%[^a-f0-9]|%[a-f0-9][^a-f0-9]/i;

/**
 * Reads an address like `pg`: URLs, URLs whose host is empty or a percent-encoded folder,
 * `socket:/folder?db=app`, and `/folder app`. Several hosts, which `pg` does not support, are read
 * like in libpq: `postgres://h1:5432,h2:5433/app` and `postgres:///app?host=h1,h2&port=5432,5433`.
 * Source: pg-connection-string 2.6 to 2.14, `parse`.
 *
 * @throws Error without the address if `pg` can't read it
 * @internal
 */
export function parseAddress(url: string): PostgresAddress {
  if (url.startsWith('/')) {
    const [host, database] = url.split(' ');
    return addressOf({ host, database }, new Map());
  }
  const { url: single, places } = splitHosts(url);
  const read = readUrl(single);
  const parameters = new Map(read.searchParams);
  const user = parameters.get('user') || decodeURIComponent(read.username);
  const password = parameters.get('password') || decodeURIComponent(read.password);
  if (read.protocol === 'socket:') {
    const port = parameters.get('port');
    const [host, database] = [decodeURI(read.pathname), parameters.get('db')];
    return addressOf({ host, port, user, password, database }, parameters);
  }
  const hostname = read.hostname === NO_HOST ? '' : read.hostname.replace(/^\[(.+)\]$/, '$1');
  const given = parameters.get('host');
  // If there is also a `host=`, the folder is part of the database's name.
  const isFolder = Boolean(given) && /^%2f/i.test(hostname);
  const path = (isFolder ? `/${hostname}${read.pathname}` : read.pathname).slice(1);
  const port = parameters.get('port') || (places ? undefined : read.port);
  const hosts =
    places && !given ? places : listedHosts(given || decodeURIComponent(hostname), port);
  const database = decodeURI(path);
  return addressOf({ ...hosts[0], user, password, database }, parameters, hosts);
}

type Parts = Partial<Record<'host' | 'port' | 'user' | 'password' | 'database', string>>;

function addressOf(
  { host, port, user, password, database }: { [K in keyof Parts]: Parts[K] | undefined },
  parameters: ReadonlyMap<string, string>,
  hosts: readonly ServerPlace[] = [{ host: host ?? '', port: port || undefined }],
): PostgresAddress {
  return {
    host: host || undefined,
    port: port || undefined,
    hosts: hosts.length === 1 && !host ? [] : hosts,
    user: user || undefined,
    password: password || undefined,
    database: database || undefined,
    parameters,
  };
}

function readUrl(url: string): URL {
  const text = NEEDS_ENCODING.test(url) ? encodeURI(url).replaceAll(/%25(\d\d)/g, '%$1') : url;
  if (URL.canParse(text)) return new URL(text);
  const withHost = text.replace('@/', `@${NO_HOST}/`);
  // Node's own error contains the address, and thus the password.
  if (!URL.canParse(withHost)) throw new Error('not a URL');
  return new URL(withHost);
}
