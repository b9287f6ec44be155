import type { Ledger } from './assemble-ledger.js';
import { unwiseConnections } from './config/unwise-settings.js';
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
    const beside = this.#workersBeside(others);
    this.#clampWorkers(beside);
    this.#database.spare(beside + this.#ledger.writer.numWorkers);
    this.#ledger.surroundings.poolSize = this.#database.poolSize;
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
    writer.numWorkers = most;
  }

  /** Of other ledgers on the same pool: those that have begun, and one for each that has not yet. */
  #workersBeside(others: readonly PoolShare[]): number {
    if (this.isOwn) return 0;
    const { dataSource } = this.#database;
    return others
      .filter((each) => each.#database.shares(dataSource, each.#findDataSource))
      .reduce((sum, each) => sum + (each.#hasBegun ? each.#ledger.writer.numWorkers : 1), 0);
  }

  /** Compares with the server's limit; says nothing if it can't be asked. Never rejects. */
  async warnOfConnections(): Promise<void> {
    const { writer, logger, surroundings } = this.#ledger;
    if (!writer.isPrepared) return;
    try {
      const max = await this.#database.readMaxConnections();
      surroundings.maxConnections = max;
      for (const warning of unwiseConnections(writer.numWorkers, this.#database.poolSize, max)) {
        logger.warn(`WARNING: ${warning}`);
      }
    } catch {
      // The workers report a database that went away again; this was only advice.
    }
  }
}
