import type { EventEmitter } from 'node:events';
import type { DataSource } from 'typeorm';
import type { PgClient } from './pg-client.js';

/** The inspected part of `pg-pool`; its list of clients is not a public interface. */
interface Pool extends EventEmitter {
  readonly _clients?: readonly PgClient[];
}

const ignore = (): void => {};

/**
 * Listens for errors of a pool's clients.
 *
 * Between two listeners (the pool's and the QueryRunner's) a client briefly has none. An error at
 * that moment, sent by the server in the same packet as its last answer, would end the process. So
 * each client also gets a listener of the library.
 *
 * @internal
 */
export class PoolWatch {
  #pool: Pool | undefined;
  readonly #clients = new Set<PgClient>();

  /** May be called again at any time; a DataSource that was initialised again has a new pool. */
  watch(dataSource: DataSource): void {
    const pool = (dataSource.driver as unknown as { master?: Pool }).master;
    if (!pool || pool === this.#pool) return;
    this.stop();
    this.#pool = pool;
    pool._clients?.forEach(this.#meet);
    pool.on('connect', this.#meet);
  }

  /** Stops looking for new clients; known clients keep their listener. */
  stop(): void {
    this.#pool?.removeListener('connect', this.#meet);
    this.#pool = undefined;
  }

  /** Resolves when the socket of every known client is closed. */
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
