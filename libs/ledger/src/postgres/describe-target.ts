import { userInfo } from 'node:os';
import type { ServerPlace } from './address-hosts.js';
import { hostListOf } from './host-list.js';
import type { PostgresOptions } from './open.js';
import { parseAddress, type PostgresAddress } from './parse-address.js';

/** Server, database and role of a connection, without the password. @internal */
export interface DatabaseTarget {
  /** The server; several if the address names them. */
  readonly hosts: readonly ServerPlace[];
  readonly database: string;
  readonly user: string;
}

type TargetOptions = Partial<
  Pick<PostgresOptions, 'url' | 'host' | 'port' | 'username' | 'database' | 'extra' | 'replication'>
>;

/** Characters of a name shown in a message. */
const SHOWN = 80;

/**
 * The target of `pg` with these options: the address overrides single options, then come libpq's
 * variables and `pg`'s defaults.
 *
 * @internal
 */
export function targetOf(options: TargetOptions): DatabaseTarget {
  const server = options.replication?.master ?? options;
  const extra = (options.extra ?? {}) as Readonly<Record<string, unknown>>;
  const address = readAddress(first(extra['connectionString'], server.url));
  const { PGHOST, PGPORT, PGUSER, PGDATABASE } = process.env;
  const user = first(address?.user, extra['user'], server.username, PGUSER) ?? accountName();
  const port = first(address?.port, extra['port'], server.port, PGPORT);
  const host = first(address?.host, extra['host'], server.host, PGHOST) ?? 'localhost';
  const listed = hostListOf(options)?.hosts ?? address?.hosts ?? [];
  return {
    hosts:
      listed.length > 1
        ? listed.map((each) => ({ host: each.host, port: each.port ?? PGPORT }))
        : [{ host, port }],
    database: first(address?.database, extra['database'], server.database, PGDATABASE) ?? user,
    user,
  };
}

/** An empty value counts as none, like in `pg`. */
function first(...candidates: readonly unknown[]): string | undefined {
  return candidates.map(text).find((each) => each !== undefined && each !== '');
}

/**
 * Names a target for an error or a log line: `host 10.0.0.5:5432, database app, user app`. Never
 * contains a password.
 *
 * @param options of a DataSource, or `{ url }`
 * @internal
 */
export function describeTarget(options: TargetOptions): string {
  const target = targetOf(options);
  return `${describeHosts(target)}, database ${shown(target.database)}, user ${shown(target.user)}`;
}

/** `host 10.0.0.5:5432`; several are separated by commas. @internal */
export function describeHosts({ hosts }: Pick<DatabaseTarget, 'hosts'>): string {
  return hosts.map(describePlace).join(', ');
}

/** `host 10.0.0.5:5432`, or `socket /run/postgresql`. @internal */
export function describePlace({ host, port = '5432' }: ServerPlace): string {
  if (host.startsWith('/')) return `socket ${shown(host)}/.s.PGSQL.${shown(port)}`;
  const name = host.includes(':') ? `[${shown(host)}]` : shown(host);
  return `host ${name}:${shown(port)}`;
}

/** A name on one line, without characters that could forge a log line. @internal */
export function shown(name: string): string {
  const line = name.replaceAll(/[\p{Cc}\p{Cf}\p{Zl}\p{Zp}]/gu, '?');
  return line.length > SHOWN ? `${line.slice(0, SHOWN - 1)}…` : line;
}

function readAddress(url: string | undefined): PostgresAddress | undefined {
  if (!url) return undefined;
  try {
    return parseAddress(url);
  } catch {
    return undefined;
  }
}

function text(value: unknown): string | undefined {
  return typeof value === 'string' || typeof value === 'number' ? String(value) : undefined;
}

/** An account without an entry in the system's list has no name. */
function accountName(): string {
  try {
    return process.env['USER'] ?? userInfo().username;
  } catch {
    return '(unknown)';
  }
}
