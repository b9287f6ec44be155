import type { EventEmitter } from 'node:events';
import { Socket } from 'node:net';
import type { Duplex } from 'node:stream';
import { DataSource } from 'typeorm';
import type { DataSourceOptions } from 'typeorm';
import { readBesideAddress } from './beside-address.js';
import { hostListClient } from './host-list-client.js';
import { javaScriptClient, tlsOf, usesNative, type ClientClass } from './javascript-client.js';
import { CONNECT_TIMEOUT_MS } from './connection-defaults.js';

/** @internal */
export type PostgresOptions = Extract<DataSourceOptions, { type: 'postgres' }>;

type PostgresCredentials = NonNullable<PostgresOptions['replication']>['master'];

type StreamFactory = (...config: unknown[]) => Duplex;

/** Connection settings used unless the options set them. @internal */
export interface OpenDefaults {
  /** As shown by the server in `pg_stat_activity`. */
  readonly applicationName: string;
  /** Maximum connections. */
  readonly poolSize: number;
}

/**
 * Makes the library's own DataSource; it opens no connection yet. All are made here. Each therefore
 * has a time limit for connecting and the options next to its address, and none uses pg-native.
 *
 * @internal
 */
export function open(
  options: Omit<PostgresOptions, 'type'>,
  { applicationName, poolSize }: OpenDefaults,
): DataSource {
  const { options: read, tlsOf: url, hostList } = readBesideAddress(ofPrimary(options));
  const dataSource = new DataSource({
    ...read,
    applicationName: read.applicationName ?? applicationName,
    // TypeORM would apply these to the whole process, including the application; the ledger needs
    // neither.
    parseInt8: undefined,
    useUTC: undefined,
    poolErrorHandler: guarded(options.poolErrorHandler),
    // Also if an option is undefined, or 0, which means no limit.
    connectTimeoutMS: options.connectTimeoutMS || CONNECT_TIMEOUT_MS,
    poolSize: options.poolSize || poolSize,
    type: 'postgres',
  });
  const ssl = url === undefined ? undefined : tlsOf(dataSource, url);
  if (ssl !== undefined) dataSource.setOptions({ ssl });
  const extra = (read.extra ?? {}) as { readonly Client?: ClientClass };
  const isReplaced = hostList !== undefined || usesNative(dataSource);
  const Base = isReplaced
    ? (nonNative(extra.Client, dataSource) ?? javaScriptClient(dataSource))
    : undefined;
  if (Base === undefined) return dataSource;
  const Client = hostList === undefined ? Base : hostListClient(Base, hostList);
  dataSource.setOptions({ extra: { ...extra, Client, hostList } });
  return dataSource;
}

/**
 * The ledger writes to the primary and reads from it too. A standby would only prevent a connection
 * when it is unreachable.
 */
function ofPrimary(options: Omit<PostgresOptions, 'type'>): Omit<PostgresOptions, 'type'> {
  if (!options.replication) return options;
  const { master } = options.replication;
  return {
    ...options,
    ...credentialsOf(master),
    applicationName: options.applicationName ?? master.applicationName,
    replication: undefined,
  };
}

/** Address and role, listed by name, because missing parts must be removed too. */
function credentialsOf(server: PostgresCredentials): PostgresCredentials {
  return {
    url: server.url,
    host: server.host,
    port: server.port,
    username: server.username,
    password: server.password,
    database: server.database,
    ssl: server.ssl,
  };
}

/** The pool calls it from a socket's event, where an error would end the process. */
function guarded(
  handler: PostgresOptions['poolErrorHandler'],
): PostgresOptions['poolErrorHandler'] {
  if (!handler) return undefined;
  return (error: unknown) => {
    try {
      handler(error);
    } catch {
      // The query that fails reports the connection's error anyway.
    }
  };
}

/** The application's own client, if it is usable. */
function nonNative(
  given: ClientClass | undefined,
  dataSource: DataSource,
): ClientClass | undefined {
  return usesNative(dataSource) ? undefined : given;
}

/**
 * Tracks the sockets of `pg`. By default pg makes its socket itself. An application may supply a
 * factory (for example a cloud's connector), which is then called first.
 *
 * @param sockets receives open and opening sockets, so that they can be destroyed
 * @internal
 */
export function trackStreams(options: PostgresOptions, sockets: Set<Duplex>): StreamFactory {
  const given = (options.extra as { stream?: StreamFactory } | undefined)?.stream;
  return (...config: unknown[]) => {
    const socket = typeof given === 'function' ? given(...config) : new Socket();
    if (typeof socket?.once !== 'function') throw new Error('extra.stream returned no socket');
    sockets.add(socket);
    socket.once('close', () => sockets.delete(socket));
    return socket;
  };
}

type Verify = (client: EventEmitter, done: (error?: Error) => void) => void;

/**
 * The pool's hook `verify` with a listener for errors. While the hook has a client no other
 * listener exists, and a lost connection would end the process. Source: pg-pool 3.14,
 * `_acquireClient`.
 *
 * @internal
 */
export function listeningVerify(options: PostgresOptions): Verify | undefined {
  const given = (options.extra as { verify?: Verify } | null | undefined)?.verify;
  if (!given) return undefined;
  return (client, done) => {
    client.on('error', () => {});
    given(client, done);
  };
}

/**
 * Copies the address and the role of other options, without side effects: no entities, subscribers,
 * migrations, logging or extensions. The copied options are listed by name, so that options of
 * later versions are not copied.
 *
 * @internal
 */
export function addressOf(
  options: PostgresOptions,
  poolSize: number,
): Omit<PostgresOptions, 'type'> {
  const server = options.replication?.master ?? options;
  return {
    ...credentialsOf(server),
    applicationName: options.applicationName ?? server.applicationName,
    schema: options.schema,
    driver: options.driver as unknown,
    nativeDriver: options.nativeDriver as unknown,
    connectTimeoutMS: options.connectTimeoutMS,
    extra: { ...(options.extra as object | undefined), max: poolSize, min: 0 },
    logging: false,
    installExtensions: false,
    // By default TypeORM would log the error; the failing query reports it anyway.
    poolErrorHandler: () => {},
  };
}
