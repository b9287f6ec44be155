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

/** What a connection has unless its options say otherwise. @internal */
export interface OpenDefaults {
  /** As the server shows it in `pg_stat_activity`. */
  readonly applicationName: string;
  /** Connections at most. */
  readonly poolSize: number;
}

/**
 * Makes a DataSource of the library's own; it opens no connection yet. This is the only place that
 * makes one, so that none lacks a time limit for connecting, each gets what stands beside its address, and
 * none speaks through pg-native.
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
    // Of these TypeORM changes the whole process, for the application too; the ledger needs neither.
    parseInt8: undefined,
    useUTC: undefined,
    poolErrorHandler: guarded(options.poolErrorHandler),
    // Also where an option is there and undefined, or 0, which means no limit.
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
 * The ledger writes to the primary and reads what it wrote there; a standby that is away would only keep it from
 * connecting.
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

/** Where and as whom to connect; named one by one, since what is missing must go as well. */
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

/** The pool calls it from a socket's event: what it throws would end the process. */
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

/** A client of the application's own that can be used. */
function nonNative(
  given: ClientClass | undefined,
  dataSource: DataSource,
): ClientClass | undefined {
  return usesNative(dataSource) ? undefined : given;
}

/**
 * pg makes its socket itself unless told how. An application may have told it (a connector of a
 * cloud's own), so that is asked first.
 *
 * @param sockets holds those that are open or opening, so that they can be destroyed
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
 * The pool's hook `verify`, with somebody who hears of errors: while it has a client nobody else does, and a
 * connection that is cut or lost then would end the process. Source: pg-pool 3.14, `_acquireClient`.
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
 * The address and the role of other options, and nothing that they would do by themselves: no entities,
 * subscribers, migrations, logging or extensions. Names what is taken over, so that options of later
 * versions stay out.
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
    // Without a handler of one's own TypeORM would log it; the query that fails tells it anyway.
    poolErrorHandler: () => {},
  };
}
