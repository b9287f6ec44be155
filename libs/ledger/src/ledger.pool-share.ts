import type { Ledger } from './assemble-ledger.js';
import { unwiseConnections } from './config/unwise-settings.js';
import { SPARE_CONNECTIONS } from './postgres/connection-defaults.js';
import type { FindDataSource, LedgerDatabase } from './ledger.database.js';

/**
 * One ledger's share of the connection pool that it writes through: on the application's pool the
 * workers of all its ledgers leave the application a connection.
 *
 * @internal
 */
export class PoolShare {
  readonly #ledger: Ledger;
  readonly #database: LedgerDatabase;
  readonly #findDataSource: FindDataSource;
  #hasBegun = false;

  constructor(ledger: Ledger, database: LedgerDatabase, findDataSource: FindDataSource) {
    this.#ledger = ledger;
    this.#database = database;
    this.#findDataSource = findDataSource;
  }

  /** The pool is the ledger's own: nobody else needs a connection of it. */
  get isOwn(): boolean {
    return this.#database.isOwn;
  }

  /**
   * Settles which pool it is, and takes from it what the application and the other ledgers leave.
   *
   * @param others shares of the application's other ledgers
   * @throws LedgerOptionsError if there is no database
   */
  begin(others: readonly PoolShare[]): void {
    this.#hasBegun = true;
    this.#database.find(this.#findDataSource);
    const sharing = this.#sharing(others);
    const beside = workersOf(sharing);
    this.#limitAuto(sharing.length + 1, beside);
    this.#clampWorkers(beside);
    this.#database.spare(beside + this.#mostWorkers);
    this.#ledger.surroundings.poolSize = this.#database.poolSize;
  }

  /** Workers that there may be at most, now or later. */
  get #mostWorkers(): number {
    const { auto, writer } = this.#ledger;
    return auto?.mostWorkers ?? writer.numWorkers;
  }

  /** Where the ledger finds the number itself, it leaves the application half, and each other ledger its share. */
  #limitAuto(ledgers: number, beside: number): void {
    const { poolSize, maxWorkers } = this.#database;
    const share = Math.floor(poolSize / 2 / ledgers);
    this.#ledger.auto?.limitToPool(Math.min(maxWorkers - beside, this.isOwn ? maxWorkers : share));
  }

  #clampWorkers(beside: number): void {
    const { writer, logger } = this.#ledger;
    const most = Math.max(1, this.#database.maxWorkers - beside);
    if (writer.numWorkers <= most) return;
    logger.warn(
      this.isOwn
        ? `WARNING: ${writer.numWorkers} workers would leave no connection of the pool to reads, ` +
            `using ${most}: give it a larger poolSize`
        : `WARNING: ${writer.numWorkers} workers would take the application's whole pool, ` +
            `using ${most}: give the ledger a connection of its own, or a larger pool`,
    );
    writer.resize(most);
  }

  /** Other ledgers on the same pool. */
  #sharing(others: readonly PoolShare[]): PoolShare[] {
    if (this.isOwn) return [];
    const { dataSource } = this.#database;
    return others.filter((each) => each.#database.shares(dataSource, each.#findDataSource));
  }

  /** Workers that it counts as to other ledgers: those of one that has begun, else one. */
  get reservedWorkers(): number {
    return this.#hasBegun ? this.#mostWorkers : 1;
  }

  /** Compares with the server's limit; says nothing if it can't be asked. Never rejects. */
  async warnOfConnections(): Promise<void> {
    const { writer, auto, logger, surroundings } = this.#ledger;
    if (!writer.isPrepared) return;
    try {
      const max = await this.#database.readMaxConnections();
      surroundings.maxConnections = max;
      auto?.limitToServer(max);
      const { poolSize } = this.#database;
      // A pool of its own is as large as `auto` may ever need: what it opens depends on the server.
      const opens = this.isOwn
        ? Math.min(poolSize, this.#mostWorkers + SPARE_CONNECTIONS)
        : poolSize;
      for (const warning of unwiseConnections(writer.numWorkers, opens, max)) {
        logger.warn(`WARNING: ${warning}`);
      }
    } catch {
      // The workers report a database that went away again; this was only advice.
    }
  }
}

function workersOf(shares: readonly PoolShare[]): number {
  return shares.reduce((sum, { reservedWorkers }) => sum + reservedWorkers, 0);
}
