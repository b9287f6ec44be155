import type { PostgresOptions } from './open.js';
import { splitHosts } from './address-hosts.js';
import { HostList } from './host-list.js';
import { parseAddress, type PostgresAddress } from './parse-address.js';
import { hasTls, sessionOptions } from './url-parameters.js';

type Options = Omit<PostgresOptions, 'type'>;
type Password = Options['password'];

/** What code gives beside an address, under the names of TypeORM's options. @internal */
export interface AddressParts {
  readonly host: string | undefined;
  readonly port: number | string | undefined;
  readonly username: string | undefined;
  /** Text, or a function that makes one for each connection. */
  readonly password: Password;
  readonly database: string | undefined;
}

/** The parts of an address, under the names of TypeORM's options. @internal */
export const ADDRESS_PARTS = [
  'host',
  'port',
  'username',
  'password',
  'database',
] as const satisfies readonly (keyof AddressParts)[];

/** The same, as `pg` spells them. */
const PARTS_OF_PG: readonly string[] = ['host', 'port', 'user', 'password', 'database'];

/** What an address says of itself, under the names of TypeORM's options. @internal */
export function partsOf(address: PostgresAddress): AddressParts {
  const { host, port, user: username, password, database } = address;
  return { host, port, username, password, database };
}

/** What code gives beside the address, in TypeORM's options or in those that it hands to `pg`. @internal */
export function givenBeside(options: Options): AddressParts {
  const extra = (options.extra ?? {}) as Readonly<Record<string, never>>;
  return {
    host: options.host ?? extra['host'],
    port: options.port ?? extra['port'],
    username: options.username ?? extra['user'],
    password: options.password ?? extra['password'],
    database: options.database ?? extra['database'],
  };
}

/** Options for TypeORM, and the address whose TLS is still to be read. @internal */
export interface ReadOptions {
  readonly options: Options;
  /** `pg` reads it, since what its parameters mean is another thing in each version. */
  readonly tlsOf: string | undefined;
  /** The servers to choose from, where the address names several or says what it wants of one. */
  readonly hostList?: HostList | undefined;
}

/**
 * Puts an address and what code gives beside it together.
 *
 * `pg` lets an address win over everything beside it, also where the address says nothing: a password
 * that is a function would be an empty text. So the parts are handed over one by one where code gives
 * one that the address lacks, and of an address with several hosts, which `pg` does not know. Else `pg` gets the address; past TypeORM, whose own reading knows no sockets
 * and fails on some passwords, unless it is a plain one.
 *
 * @internal
 */
export function readBesideAddress(options: Options): ReadOptions {
  const { url } = options;
  const address = url ? tryParse(url) : undefined;
  if (!url || address === undefined) return { options, tlsOf: undefined };
  const given = givenBeside(options);
  const own = partsOf(address);
  const hostList = HostList.of(address, given.port);
  const isGiven = ADDRESS_PARTS.some((part) => own[part] === undefined && hasValue(given[part]));
  if (!isGiven && !hostList) {
    if (isPlain(url)) return { options, tlsOf: undefined };
    const extra = { ...(options.extra as object | undefined), connectionString: url };
    return {
      options: { ...options, url: undefined, database: address.database, extra },
      tlsOf: undefined,
    };
  }
  const port = own.port ?? given.port;
  return {
    options: {
      ...options,
      url: undefined,
      host: own.host ?? given.host,
      port: port === undefined ? undefined : Number(port),
      username: own.username ?? given.username,
      password: own.password ?? given.password,
      database: own.database ?? given.database,
      extra: { ...sessionOptions(address), ...withoutParts(options.extra) },
    },
    tlsOf: hasTls(address) ? splitHosts(url).url : undefined,
    hostList,
  };
}

/** They stand in TypeORM's options by now, which `extra` would go before. */
function withoutParts(extra: unknown): object {
  const all = Object.entries(extra ?? {});
  return Object.fromEntries(all.filter(([name]) => !PARTS_OF_PG.includes(name)));
}

function hasValue(value: unknown): boolean {
  return value !== undefined && value !== '';
}

function tryParse(url: string): PostgresAddress | undefined {
  try {
    return parseAddress(url);
  } catch {
    return undefined;
  }
}

/** TypeORM and `pg` read it alike. */
function isPlain(url: string): boolean {
  if (!/^postgres(?:ql)?:\/\//i.test(url) || !URL.canParse(url)) return false;
  const { hostname, pathname } = new URL(url);
  if (hostname === '' || pathname.split('/').length > 2) return false;
  try {
    decodeURIComponent(url);
    return true;
  } catch {
    return false;
  }
}
