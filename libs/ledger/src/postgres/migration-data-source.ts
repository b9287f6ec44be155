import { Socket } from 'node:net';
import type { Duplex } from 'node:stream';
import { DataSource } from 'typeorm';
import type { DataSourceOptions } from 'typeorm';
import { CONNECT_TIMEOUT_MS } from './connection-defaults.js';
import { PoolWatch } from './pool-watch.js';

/** @internal */
export type PostgresOptions = Extract<DataSourceOptions, { type: 'postgres' }>;

type StreamFactory = (...config: unknown[]) => Duplex;

/** One for the lock, one for the migrations. */
const POOL_SIZE = 2;

/**
 * Lends a DataSource of its own to `work`: same server, same role, but no entities, subscribers or
 * migrations, no logging, and nothing that the given options would do by themselves (synchronise,
 * drop, install extensions). It is destroyed when `work` has ended, and also if it could not be
 * initialised.
 *
 * @param signal cuts every connection at once, so that nothing waits for a server that is silent
 * @throws what `initialize()` or `work` throws; after the signal, a connection's error
 * @internal
 */
export async function withMigrationDataSource<T>(
  options: PostgresOptions,
  signal: AbortSignal,
  work: (dataSource: DataSource) => Promise<T>,
): Promise<T> {
  const sockets = new Set<Duplex>();
  const cut = (): void => sockets.forEach((socket) => socket.destroy());
  const watch = new PoolWatch();
  const dataSource = new DataSource(migrationOptions(options, trackStreams(options, sockets)));
  signal.addEventListener('abort', cut);
  try {
    signal.throwIfAborted();
    await dataSource.initialize();
    watch.watch(dataSource);
    const result = await work(dataSource);
    await dataSource.destroy();
    return result;
  } catch (error) {
    cut();
    await destroy(dataSource);
    throw error;
  } finally {
    signal.removeEventListener('abort', cut);
    cut();
    watch.stop();
  }
}

/** Never rejects: there is an error on its way already. */
async function destroy(dataSource: DataSource): Promise<void> {
  try {
    // `dataSource.destroy()` refuses if initialize() failed, but the pool may be there all the same.
    await dataSource.driver.disconnect();
  } catch {
    // Without a pool there is nothing to destroy.
  }
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
    sockets.add(socket);
    socket.once('close', () => sockets.delete(socket));
    return socket;
  };
}

/** Names what is taken over, rather than what is not: options of later versions stay out. */
function migrationOptions(options: PostgresOptions, stream: StreamFactory): PostgresOptions {
  const server = options.replication?.master ?? options;
  return {
    type: 'postgres',
    url: server.url,
    host: server.host,
    port: server.port,
    username: server.username,
    password: server.password,
    database: server.database,
    ssl: server.ssl,
    applicationName: options.applicationName ?? server.applicationName,
    schema: options.schema,
    driver: options.driver as unknown,
    nativeDriver: options.nativeDriver as unknown,
    connectTimeoutMS: options.connectTimeoutMS || CONNECT_TIMEOUT_MS,
    poolSize: POOL_SIZE,
    extra: { ...(options.extra as object | undefined), max: POOL_SIZE, min: 0, stream },
    logging: false,
    installExtensions: false,
    // Without a handler of one's own TypeORM would log it; the query that fails tells it anyway.
    poolErrorHandler: () => {},
  };
}
