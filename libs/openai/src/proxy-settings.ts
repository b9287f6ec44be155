import { BlockList, isIP } from 'node:net';

/** A proxy in the form of undici's `ProxyAgent`. */
export interface ProxySettings {
  /** Without user and password. */
  readonly uri: string;
  /** The value of `proxy-authorization`, if the address has a user or a password. */
  readonly token?: string;
}

type Environment = Readonly<Record<string, string | undefined>>;

/**
 * The proxy for a server, from the same variables as in curl: `HTTPS_PROXY` or else `HTTP_PROXY`
 * for `https:`, `HTTP_PROXY` for `http:`. Names in lower case have priority. An address without a
 * scheme counts as `http:`. `NO_PROXY` exempts hosts, separated by commas or blanks: `*`, a name
 * with all names below it, an address, a range such as `10.0.0.0/8`. A port after a name or an
 * address limits it to that port.
 *
 * @returns undefined if the server is reached directly
 * @throws Error if the address is invalid; without the address, which may contain a password
 */
export function proxyTo(target: URL, environment: Environment): ProxySettings | undefined {
  const ofHttp = environment.http_proxy ?? environment.HTTP_PROXY;
  const ofHttps = environment.https_proxy ?? environment.HTTPS_PROXY;
  const given = ((target.protocol === 'https:' && ofHttps) || ofHttp)?.trim();
  if (!given) return undefined;
  if (isExempt(target, environment.no_proxy ?? environment.NO_PROXY ?? '')) return undefined;
  const address = /^[a-z][\w+.-]*:\/\//i.test(given) ? given : `http://${given}`;
  if (!/^https?:/i.test(address) || !URL.canParse(address)) {
    throw new Error(
      'HTTPS_PROXY or HTTP_PROXY is no address of a proxy. Expected http://host:port.',
    );
  }
  const { protocol, host, username, password } = new URL(address);
  const uri = `${protocol}//${host}`;
  if (!username && !password) return { uri };
  const credentials = Buffer.from(`${decoded(username)}:${decoded(password)}`);
  return { uri, token: `Basic ${credentials.toString('base64')}` };
}

/** A percent sign that encodes nothing belongs to the password. */
function decoded(text: string): string {
  return text.replace(/(%[0-9a-f]{2})+/gi, (bytes) =>
    Buffer.from(bytes.replaceAll('%', ''), 'hex').toString(),
  );
}

function isExempt(target: URL, list: string): boolean {
  const host = bare(target.hostname);
  const port = target.port || (target.protocol === 'https:' ? '443' : '80');
  const entries = list.toLowerCase().split(/[\s,]+/);
  return entries.some((entry) => entry !== '' && covers(entry, host, port));
}

function covers(entry: string, host: string, port: string): boolean {
  if (entry === '*') return true;
  const [net = '', bits] = entry.split('/');
  if (bits !== undefined) return /^\d+$/.test(bits) && isWithin(host, bare(net), Number(bits));
  // The colons of an IPv6 address do not precede a port.
  const parts = isIP(entry) ? null : /^(.*):(\d+)$/.exec(entry);
  if (parts && parts[2] !== port) return false;
  const name = bare(parts?.[1] ?? entry);
  if (isIP(host)) return isWithin(host, name, isIP(name) === 6 ? 128 : 32);
  const domain = name.replace(/^\*?\./, '');
  return domain !== '' && (host === domain || host.endsWith(`.${domain}`));
}

/** Compares addresses in any notation. */
function isWithin(host: string, net: string, bits: number): boolean {
  const family = isIP(net);
  if (!family || !isIP(host) || bits > (family === 6 ? 128 : 32)) return false;
  const range = new BlockList();
  range.addSubnet(net, bits, family === 6 ? 'ipv6' : 'ipv4');
  return range.check(host, isIP(host) === 6 ? 'ipv6' : 'ipv4');
}

/** A host without the brackets of IPv6 and a trailing dot. */
function bare(host: string): string {
  return host.replace(/^\[(.*)\]$/, '$1').replace(/\.$/, '');
}
