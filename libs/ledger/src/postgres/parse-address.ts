/** What an address says; what it does not say is undefined. @internal */
export interface PostgresAddress {
  /** Name, IP address or folder of a unix socket. */
  readonly host: string | undefined;
  readonly port: string | undefined;
  readonly user: string | undefined;
  readonly password: string | undefined;
  readonly database: string | undefined;
  /** All parameters behind the question mark, in the order of the address. */
  readonly parameters: ReadonlyMap<string, string>;
}

/** Takes the place of an empty host, which no URL may have beside a user. */
const NO_HOST = '___no_host___';
/** What `pg` percent-encodes itself: blanks, and a percent sign that encodes nothing. */
const NEEDS_ENCODING = / |%[^a-f0-9]|%[a-f0-9][^a-f0-9]/i;

/**
 * Reads an address as `pg` does: URLs, URLs whose host is empty or a percent-encoded folder,
 * `socket:/folder?db=app`, and `/folder app`.
 * Source: pg-connection-string 2.6 to 2.14, `parse`.
 *
 * @throws Error without the address in it if `pg` can't read it
 * @internal
 */
export function parseAddress(url: string): PostgresAddress {
  if (url.startsWith('/')) {
    const [host, database] = url.split(' ');
    return addressOf({ host, database }, new Map());
  }
  const read = readUrl(url);
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
  // Of a folder beside `host=` the folder is a part of the database's name.
  const isFolder = Boolean(given) && /^%2f/i.test(hostname);
  const path = (isFolder ? `/${hostname}${read.pathname}` : read.pathname).slice(1);
  return addressOf(
    {
      host: given || decodeURIComponent(hostname),
      port: parameters.get('port') || read.port,
      user,
      password,
      database: decodeURI(path),
    },
    parameters,
  );
}

type Parts = Partial<Record<'host' | 'port' | 'user' | 'password' | 'database', string>>;

function addressOf(
  { host, port, user, password, database }: { [K in keyof Parts]: Parts[K] | undefined },
  parameters: ReadonlyMap<string, string>,
): PostgresAddress {
  return {
    host: host || undefined,
    port: port || undefined,
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
  // Node's own error has the address in it, and so the password.
  if (!URL.canParse(withHost)) throw new Error('not a URL');
  return new URL(withHost);
}
