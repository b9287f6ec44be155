import type { Duplex } from 'node:stream';
import type { DataSource } from 'typeorm';
import { isLedgerError } from '../errors/is-ledger-error.js';
import { SinkHaltError } from '../errors/sink.errors.js';
import { hostListOf } from './host-list.js';
import { listeningVerify, trackStreams, type PostgresOptions } from './open.js';
import { classifyPgError, toSinkError } from './classify-pg-error.js';
import { Deadline, DeadlineError } from '../clock/deadline.js';
import type { PgClient } from './pg-client.js';
import { ConnectError, NoServerError } from './connect-error.js';
import { connectionSchema } from './connection-schema.js';
import { PgLease, StatementError } from './pg-lease.js';
import { PgSession } from './pg-session.js';
import type { SessionLender } from './session-lender.interface.js';
import { PoolWatch } from './pool-watch.js';
import { readPgError } from './read-pg-error.js';

/** Time for the server to hear that the connections end; then the sockets are destroyed. */
const CLOSE_WAIT_MS = 1_000;
/** A server that is there hears of it within milliseconds, whatever time is left. */
const LEAST_CLOSE_WAIT_MS = 50;

/**
 * Time for the first connection and what TypeORM asks on it, in milliseconds; the migrations, which
 * begin with the same, take no longer either.
 */
const INITIALIZE_MS = 60_000;

/** Time for TypeORM to notice that its sockets are gone; that takes a few turns. */
const ABANDON_MS = 1_000;

/** SQLSTATE read_only_sql_transaction. Source: PostgreSQL 18, appendix A. */
const READ_ONLY = '25006';

/** Where connections come from. @internal */
export interface PgConnectionsOptions {
  /** Asked for anew each time; need not be initialised if `ownsDataSource`. */
  readonly dataSource: () => DataSource;
  /** Initialise it when needed, and destroy it in `close`. */
  readonly ownsDataSource: boolean;
  /** Milliseconds that the initialising may take. Default: 60,000. */
  readonly initializeMs?: number;
}

/** A connection asked for; the runner must not be released while it is pending. */
interface Acquisition {
  readonly lease: Promise<PgLease>;
}

/**
 * Takes connections from a TypeORM pool, one per attempt.
 *
 * A connection that did not come in time is still asked for: the next attempt waits for the same
 * one, so that there are never more such requests than attempts at once. One that comes when nobody
 * waits goes straight back.
 *
 * @internal
 */
export class PgConnections implements SessionLender {
  readonly #leases = new Set<PgLease>();
  readonly #unclaimed = new Set<Acquisition>();
  readonly #watch = new PoolWatch();
  /** Those of a DataSource of its own; also while the pool knows nothing of them yet. */
  readonly #sockets = new Set<Duplex>();
  #isTracked = false;
  /** A search for a server ends with the connections. */
  #cuts = 0;
  #initializing: Promise<unknown> | undefined;
  #isClosed = false;

  constructor(private readonly options: PgConnectionsOptions) {}

  /**
   * The DataSource, initialised.
   *
   * @throws ConnectError if it can't be, or takes too long
   */
  async ready(): Promise<DataSource> {
    if (this.#isClosed) throw new Error('the sink was closed');
    const dataSource = this.options.dataSource();
    if (!dataSource.isInitialized) {
      if (!this.options.ownsDataSource) throw new Error("the application's DataSource is closed");
      this.#initializing ??= this.#initialize(dataSource).finally(() => {
        this.#initializing = undefined;
      });
      await this.#initializing;
    }
    this.#watch.watch(dataSource);
    return dataSource;
  }

  /** `connectTimeoutMS` ends with the log-in: a server that is silent behind it is waited for for ever. */
  async #initialize(dataSource: DataSource): Promise<void> {
    this.#track(dataSource);
    const initialized = this.#search(dataSource, () => dataSource.initialize());
    try {
      await new Deadline(this.options.initializeMs ?? INITIALIZE_MS).race(initialized);
    } catch (error) {
      if (error instanceof DeadlineError) this.cut();
      // TypeORM should be done with it before the next try; a `verify` that never calls back keeps it for ever.
      await new Deadline(ABANDON_MS).race(initialized).catch(() => {});
      throw connectError(error, dataSource);
    }
  }

  /**
   * Of several servers each is tried once, unless one says what a person must mend: a wrong password is
   * wrong everywhere.
   */
  async #search<T>(dataSource: DataSource, connect: () => Promise<T>): Promise<T> {
    const list = hostListOf(dataSource.options);
    const cuts = this.#cuts;
    for (let left = list?.hosts.length ?? 1; ; left--) {
      try {
        return await connect();
      } catch (error) {
        const isOfServer = list?.placeOf(error) !== undefined;
        if (!list || !isOfServer || this.#cuts !== cuts || isToBeMended(error)) throw error;
        if (left === 1) throw new NoServerError(list.refusals);
      }
    }
  }

  /** Destroys every connection at once, those that are opening too. */
  cut(): void {
    this.#cuts += 1;
    for (const socket of this.#sockets) socket.destroy();
  }

  /** The pool's first connection is nowhere to be seen until the server has answered. */
  #track(dataSource: DataSource): void {
    if (this.#isTracked) return;
    this.#isTracked = true;
    const options = dataSource.options as PostgresOptions;
    const stream = trackStreams(options, this.#sockets);
    const verify = listeningVerify(options);
    dataSource.setOptions({ extra: { ...(options.extra as object | undefined), stream, verify } });
  }

  /**
   * Runs `work` with a connection, and gives it back afterwards, whatever happens; one that was
   * refused for what may be its session's own fault is not used again.
   *
   * @throws SinkTransientError, SinkHaltError if there was no connection; else what `work` throws
   */
  async use<T>(deadline: Deadline, work: (session: PgSession) => Promise<T>): Promise<T> {
    const session = await this.take(deadline);
    try {
      return await work(session);
    } catch (error) {
      if (mayBeOfSession(error)) await session.discard();
      throw error;
    } finally {
      await session.giveBack();
    }
  }

  /** Ends what this made itself; takes about a second at most. Never rejects. */
  async close(timeoutMs = CLOSE_WAIT_MS): Promise<void> {
    this.#isClosed = true;
    await Promise.all([...this.#leases].map((lease) => lease.discard()));
    if (!this.options.ownsDataSource) return this.#watch.stop();
    const limitMs = Math.min(CLOSE_WAIT_MS, Math.max(LEAST_CLOSE_WAIT_MS, timeoutMs));
    const deadline = new Deadline(limitMs);
    await deadline.race(this.#destroy()).catch(() => {});
    await deadline.race(this.#watch.allClosed()).catch(() => {});
    // One whose other side is silent would keep the process alive for minutes.
    this.cut();
    this.#watch.stop();
  }

  /**
   * A connection that the caller must give back or discard, whatever happens.
   *
   * @throws SinkTransientError, SinkHaltError if there was none
   */
  async take(deadline: Deadline): Promise<PgSession> {
    const acquisition = this.#claim() ?? { lease: this.#begin() };
    try {
      const lease = await deadline.race(acquisition.lease);
      this.#check(lease);
      return new PgSession(lease, deadline, connectionSchema(this.options.dataSource()));
    } catch (error) {
      if (error instanceof DeadlineError) this.#leaveUnclaimed(acquisition);
      if (isLedgerError(error)) throw error;
      const failure = readPgError(this.#named(error));
      throw toSinkError(failure, classifyPgError(failure), true);
    }
  }

  /** A failure to connect, with the target that it is about. */
  #named(error: unknown): unknown {
    if (error instanceof ConnectError || this.#isClosed) return error;
    return connectError(error, this.options.dataSource());
  }

  #claim(): Acquisition | undefined {
    const [acquisition] = this.#unclaimed;
    if (acquisition) this.#unclaimed.delete(acquisition);
    return acquisition;
  }

  async #begin(): Promise<PgLease> {
    const dataSource = await this.ready();
    const { client, runner } = await this.#search(dataSource, async () => {
      // One that failed to connect would give the same failure again.
      const runner = dataSource.createQueryRunner('master');
      return { client: (await runner.connect()) as PgClient, runner };
    });
    const lease = new PgLease(client, runner, (over) => this.#leases.delete(over));
    this.#leases.add(lease);
    return lease;
  }

  #leaveUnclaimed(acquisition: Acquisition): void {
    this.#unclaimed.add(acquisition);
    acquisition.lease.then(
      (lease) => {
        if (this.#unclaimed.delete(acquisition)) void lease.giveBack();
      },
      () => this.#unclaimed.delete(acquisition),
    );
  }

  #check(lease: PgLease): void {
    const { connection, pipeline } = lease.client;
    if (connection && !pipeline) return;
    void lease.giveBack();
    throw new SinkHaltError(
      "the ledger needs pg's JavaScript client, not in pipeline mode: check the DataSource's options",
    );
  }

  async #destroy(): Promise<void> {
    await this.#initializing?.catch(() => {});
    const dataSource = this.options.dataSource();
    if (dataSource.isInitialized) await dataSource.destroy();
  }
}

function connectError(error: unknown, { options }: DataSource): ConnectError {
  const place = hostListOf(options)?.placeOf(error);
  return new ConnectError(error, options as PostgresOptions, place);
}

function isToBeMended(error: unknown): boolean {
  return classifyPgError(readPgError(error)) === 'halt';
}

/**
 * A session keeps the settings of role and database that it began with (`search_path`,
 * `default_transaction_read_only`), and its server, which may have become a standby. Retries would
 * keep it busy for ever, so that no new one were made after somebody has mended that.
 */
function mayBeOfSession(error: unknown): boolean {
  if (isLedgerError(error, 'SINK_HALT')) return true;
  const failure = error instanceof StatementError ? error.failure : readPgError(error);
  const sqlState = isLedgerError(error, 'SINK_TRANSIENT') ? error.sqlState : failure.code;
  return sqlState === READ_ONLY || (failure.isAnswer && classifyPgError(failure) === 'halt');
}
