import type { DataSource } from 'typeorm';

/** The used part of the module `pg`, as loaded by TypeORM. */
interface PgModule {
  readonly Client?: ClientClass;
  readonly Pool?: abstract new (...args: never[]) => object;
}

/** The part of `pg`'s client used before a pool has it. @internal */
export interface SearchingClient {
  readonly ssl?: unknown;
  connect(callback?: (error?: Error) => void): Promise<unknown> | undefined;
  end(): Promise<void>;
  on(event: 'error', listener: () => void): unknown;
  query(sql: string): Promise<{ readonly rows: readonly Record<string, unknown>[] }>;
}

/** @internal */
export type ClientClass = new (options: object) => SearchingClient;

/** `pg-pool` itself, which uses `pg`'s own client by default. */
type BasePool = new (options: object) => { readonly Client: ClientClass };

/**
 * Whether the pool of this DataSource will hold clients of `pg-native`. TypeORM uses them whenever
 * that package is installed. They use libpq, so no COPY can be written to their socket.
 *
 * @internal
 */
export function usesNative(dataSource: DataSource): boolean {
  const given = (dataSource.options as { extra?: { Client?: ClientClass } }).extra?.Client;
  return isNative(given ?? moduleOf(dataSource)?.Client);
}

/**
 * The JavaScript client for the pool's option `Client`, when TypeORM chose the native one.
 *
 * @returns undefined if there is no other: `NODE_PG_FORCE_NATIVE` is set
 * @internal
 */
export function javaScriptClient(dataSource: DataSource): ClientClass | undefined {
  const bound = moduleOf(dataSource)?.Pool;
  if (bound === undefined) return undefined;
  const Base = Object.getPrototypeOf(bound) as BasePool;
  const { Client } = new Base({});
  return isNative(Client) ? undefined : Client;
}

/**
 * The TLS options that the installed `pg` derives from an address; reads the files that it names.
 *
 * @internal
 */
export function tlsOf(dataSource: DataSource, url: string): unknown {
  const Client = javaScriptClient(dataSource);
  return Client && new Client({ connectionString: url }).ssl;
}

function moduleOf(dataSource: DataSource): PgModule | undefined {
  return (dataSource.driver as unknown as { postgres?: PgModule }).postgres;
}

/**
 * Only the JavaScript client assembles startup messages. Source: pg 8.11 to 8.23, lib/client.js.
 */
function isNative(Client: ClientClass | undefined): boolean {
  if (Client === undefined) return false;
  const { prototype } = Client as { prototype: Record<string, unknown> };
  return typeof prototype['getStartupConf'] !== 'function' && 'cancel' in prototype;
}
