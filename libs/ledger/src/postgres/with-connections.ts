import { addressOf, open, type OpenDefaults, type PostgresOptions } from './open.js';
import { PgConnections } from './pg-connections.js';

/**
 * Lends `work` its own connections, with server and role of the given options. They are closed when
 * `work` has ended, and also if the server was unreachable.
 *
 * @param signal cuts every connection at once, so that nothing waits for a silent server
 * @throws any error of connecting or `work`; after the signal, a connection's error
 * @internal
 */
export async function withConnections<T>(
  options: PostgresOptions,
  { signal, ...defaults }: OpenDefaults & { readonly signal: AbortSignal },
  work: (connections: PgConnections) => Promise<T>,
): Promise<T> {
  const dataSource = open(addressOf(options, defaults.poolSize), defaults);
  const connections = new PgConnections({ dataSource: () => dataSource, ownsDataSource: true });
  const cut = (): void => connections.cut();
  signal.addEventListener('abort', cut);
  try {
    signal.throwIfAborted();
    await connections.ready();
    return await work(connections);
  } finally {
    signal.removeEventListener('abort', cut);
    await connections.close();
  }
}
