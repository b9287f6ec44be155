import type { EventEmitter } from 'node:events';
import type { DataSource } from 'typeorm';
import type { PgClient } from './pg-client.js';

/** What of `pg-pool` is looked at; its list of clients is no public interface. */
interface Pool extends EventEmitter {
  readonly _clients?: readonly PgClient[];
}

const ignore = (): void => {};

/**
 * Stands by the clients of a pool.
 *
 * Between two listeners (the pool's and the QueryRunner's) a client has none for its errors for a
 * moment, and an error then, told by the server in the same packet as its last answer, would end
 * the process. So each client gets one of ours.
 *
 * @internal
 */
export class PoolWatch {
  #pool: Pool | undefined;
  readonly #clients = new Set<PgClient>();

  /** May be called again at any time; a DataSource that was initialised anew has a new pool. */
  watch(dataSource: DataSource): void {
    const pool = (dataSource.driver as unknown as { master?: Pool }).master;
    if (!pool || pool === this.#pool) return;
    this.stop();
    this.#pool = pool;
    pool._clients?.forEach(this.#meet);
    pool.on('connect', this.#meet);
  }

  /** Stops looking for new clients; those that were met keep their listener. */
  stop(): void {
    this.#pool?.removeListener('connect', this.#meet);
    this.#pool = undefined;
  }

  /** Resolves when the socket of every client that was met is closed. */
  async allClosed(): Promise<void> {
    await Promise.all(
      [...this.#clients].map((client) => new Promise((resolve) => client.once('end', resolve))),
    );
  }

  readonly #meet = (client: PgClient): void => {
    if (this.#clients.has(client)) return;
    this.#clients.add(client);
    client.on('error', ignore);
    client.once('end', () => this.#clients.delete(client));
  };
}
