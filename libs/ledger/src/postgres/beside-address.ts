import type { PostgresOptions } from './open.js';
import { splitHosts } from './address-hosts.js';
import { HostList } from './host-list.js';
import { parseAddress, type PostgresAddress } from './parse-address.js';
import { hasTls, sessionOptions } from './url-parameters.js';

type Options = Omit<PostgresOptions, 'type'>;
type Password = Options['password'];

/** Connection parts that code gives in addition to an address, under TypeORM's names. @internal */
export interface AddressParts {
  readonly host: string | undefined;
  readonly port: number | string | undefined;
  readonly username: string | undefined;
  /** Text, or a function that makes one for each connection. */
  readonly password: Password;
  readonly database: string | undefined;
}

/** The parts of an address, under TypeORM's names. @internal */
export const ADDRESS_PARTS = [
  'host',
  'port',
  'username',
  'password',
  'database',
] as const satisfies readonly (keyof AddressParts)[];

/** The same, under the names of `pg`. */
const PARTS_OF_PG: readonly string[] = ['host', 'port', 'user', 'password', 'database'];

/** The parts of an address, under TypeORM's names. @internal */
export function partsOf(address: PostgresAddress): AddressParts {
  const { host, port, user: username, password, database } = address;
  return { host, port, username, password, database };
}

/**
 * The parts given in addition to the address, in TypeORM's options or in those for `pg`.
 *
 * @internal
 */
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

/** Options for TypeORM, and the address whose TLS parameters are still to be read. @internal */
export interface ReadOptions {
  readonly options: Options;
  /** `pg` reads it, because its parameters differ in meaning between versions. */
  readonly tlsOf: string | undefined;
  /**
   * The servers to choose from, if the address names several or requires a property of the server.
   */
  readonly hostList?: HostList | undefined;
}

/**
 * Combines an address with the options next to it.
 *
 * In `pg` an address overrides all other options, even with parts that it lacks: a password
 * function would become an empty text. The parts are therefore passed separately in two cases: if
 * code gives a part that the address lacks, and if the address has several hosts, which `pg` does
 * not support. Otherwise `pg` gets the whole address. Unless the address is plain, it bypasses
 * TypeORM, which does not support sockets and fails on some passwords.
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

/** TypeORM's options now contain these parts, and `extra` would override them. */
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

/** Whether TypeORM and `pg` read the address alike. */
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
