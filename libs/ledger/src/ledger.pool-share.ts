import type { Ledger } from './assemble-ledger.js';
import { unwiseConnections } from './config/unwise-settings.js';
import { SPARE_CONNECTIONS } from './postgres/connection-defaults.js';
import type { FindDataSource, LedgerDatabase } from './ledger.database.js';

/**
 * One ledger's share of the connection pool that it writes through. On the application's pool, the
 * workers of all ledgers leave at least one connection to the application.
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

  /** The pool is the ledger's own, and nothing else needs its connections. */
  get isOwn(): boolean {
    return this.#database.isOwn;
  }

  /**
   * Chooses the pool and takes the connections that the application and the other ledgers leave.
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

  /** Maximum number of workers, now or later. */
  get #mostWorkers(): number {
    const { auto, writer } = this.#ledger;
    return auto?.mostWorkers ?? writer.numWorkers;
  }

  /** With `auto`, the ledger leaves half to the application, and each other ledger its share. */
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

  /** Number of workers as counted by other ledgers: its own once it has started, else one. */
  get reservedWorkers(): number {
    return this.#hasBegun ? this.#mostWorkers : 1;
  }

  /** Compares with the server's limit; silent if the server can't be asked. Never rejects. */
  async warnOfConnections(): Promise<void> {
    const { writer, auto, logger, surroundings } = this.#ledger;
    if (!writer.isPrepared) return;
    try {
      const max = await this.#database.readMaxConnections();
      surroundings.maxConnections = max;
      auto?.limitToServer(max);
      const { poolSize } = this.#database;
      // The ledger's own pool has the maximum size for `auto`; the server limits how much of it is used.
      const opens = this.isOwn
        ? Math.min(poolSize, this.#mostWorkers + SPARE_CONNECTIONS)
        : poolSize;
      for (const warning of unwiseConnections(writer.numWorkers, opens, max)) {
        logger.warn(`WARNING: ${warning}`);
      }
    } catch {
      // The workers report a lost connection; this check is only advice.
    }
  }
}

function workersOf(shares: readonly PoolShare[]): number {
  return shares.reduce((sum, { reservedWorkers }) => sum + reservedWorkers, 0);
}
