import type { Duplex } from 'node:stream';
import type { DataSource } from 'typeorm';
import { isLedgerError } from '../errors/is-ledger-error.js';
import { SinkHaltError } from '../errors/sink.errors.js';
import { hostListOf } from './host-list.js';
import { listeningVerify, trackStreams, type PostgresOptions } from './open.js';
import { classifyPgError, toSinkError } from './classify-pg-error.js';
import { Deadline, DeadlineError } from '../clock/deadline.js';
import { realTimers } from '../clock/real-timers.js';
import type { PgClient } from './pg-client.js';
import { ConnectError, NoServerError } from './connect-error.js';
import { connectionSchema } from './connection-schema.js';
import { PgLease } from './pg-lease.js';
import { PgSession, type TransactionOptions } from './pg-session.js';
import type { SessionLender } from './session-lender.interface.js';
import { PoolWatch } from './pool-watch.js';
import { readPgError } from './read-pg-error.js';
import { hadEnded, isToBeMended, mayBeOfSession } from './session-faults.js';

/** Time for the server to receive the end of the connections; then the sockets are destroyed. */
const CLOSE_WAIT_MS = 1_000;
/** A reachable server receives it within milliseconds, for any time left. */
const LEAST_CLOSE_WAIT_MS = 50;

/**
 * Milliseconds for the first connection and TypeORM's queries on it; the migrations, which begin in
 * the same way, have the same limit.
 */
const INITIALIZE_MS = 60_000;

/** Time for TypeORM to detect that its sockets are destroyed; that takes a few turns. */
const ABANDON_MS = 1_000;

/**
 * A session that had ended fails its first statement within this time. A statement that ran longer
 * is not repeated: it may be the one that an administrator ended, or that brought the server down.
 */
const PROMPT_MS = 1_000;

/** The source of connections. @internal */
export interface PgConnectionsOptions {
  /** Called each time; the DataSource need not be initialised if `ownsDataSource`. */
  readonly dataSource: () => DataSource;
  /** Initialise it when needed, and destroy it in `close`. */
  readonly ownsDataSource: boolean;
  /** Time limit of the initialisation in milliseconds. Default: 60,000. */
  readonly initializeMs?: number;
}

/** A requested connection; its runner must not be released while the request is pending. */
interface Acquisition {
  readonly lease: Promise<PgLease>;
}

/**
 * Takes connections from a TypeORM pool, one per attempt.
 *
 * A connection that did not arrive in time stays requested, and the next attempt waits for the same
 * one. There are thus never more requests than concurrent attempts. A connection that arrives when
 * no attempt waits is returned at once.
 *
 * @internal
 */
export class PgConnections implements SessionLender {
  readonly #leases = new Set<PgLease>();
  readonly #unclaimed = new Set<Acquisition>();
  readonly #watch = new PoolWatch();
  /** Sockets of its own DataSource, including those unknown to the pool. */
  readonly #sockets = new Set<Duplex>();
  #isTracked = false;
  /** Counts the cuts, because a cut also ends a search for a server. */
  #cuts = 0;
  #initializing: Promise<unknown> | undefined;
  #isClosed = false;

  constructor(private readonly options: PgConnectionsOptions) {}

  /** The DataSource, initialised. @throws ConnectError if that fails or takes too long */
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

  /**
   * `connectTimeoutMS` covers only the log-in: without this limit, a server that falls silent after
   * it would be awaited forever.
   */
  async #initialize(dataSource: DataSource): Promise<void> {
    this.#track(dataSource);
    const initialized = this.#search(dataSource, () => dataSource.initialize());
    try {
      await new Deadline(this.options.initializeMs ?? INITIALIZE_MS).race(initialized);
    } catch (error) {
      if (error instanceof DeadlineError) this.cut();
      // TypeORM should be finished before the next try, but a `verify` that never calls back would
      // keep it forever.
      await new Deadline(ABANDON_MS).race(initialized).catch(() => {});
      throw connectError(error, dataSource);
    }
  }

  /**
   * Tries each of several servers once. An error that a person must correct ends the search,
   * because a wrong password is wrong everywhere.
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

  /** Destroys every connection at once, including opening ones. */
  cut(): void {
    this.#cuts += 1;
    for (const socket of this.#sockets) socket.destroy();
  }

  /** The pool does not list its first connection until the server has answered. */
  #track(dataSource: DataSource): void {
    if (this.#isTracked) return;
    this.#isTracked = true;
    const options = dataSource.options as PostgresOptions;
    const stream = trackStreams(options, this.#sockets);
    const verify = listeningVerify(options);
    dataSource.setOptions({ extra: { ...(options.extra as object | undefined), stream, verify } });
  }

  /**
   * Runs `work` with a connection, and always returns it afterwards. A connection is not used again
   * if its own session may be the cause of a refusal. `work` is run a second time if the session had
   * ended in the pool, which a process finds out late if it was held up.
   *
   * @throws SinkTransientError, SinkHaltError if there was no connection; else any error of `work`
   */
  async use<T>(
    deadline: Deadline,
    work: (session: PgSession) => Promise<T>,
    { isRead = false, isRepeated = false } = {},
  ): Promise<T> {
    const session = await this.take(deadline);
    const takenAt = realTimers.monotonic();
    try {
      return await work(session);
    } catch (error) {
      if (mayBeOfSession(error)) await session.discard();
      const isPrompt = realTimers.monotonic() - takenAt < PROMPT_MS;
      const hasEnded = !session.hasAnswered && isPrompt && hadEnded(error, isRead);
      if (isRepeated || !hasEnded) throw error;
    } finally {
      await session.giveBack();
    }
    return this.use(deadline, work, { isRead, isRepeated: true });
  }

  /**
   * A connection in a new transaction, which the caller must always return or discard. A second one
   * is taken if the session had ended in the pool.
   *
   * @throws SinkTransientError, SinkHaltError if there was no connection; else the error of BEGIN
   */
  async begin(
    deadline: Deadline,
    options: TransactionOptions,
    isRepeated = false,
  ): Promise<PgSession> {
    const session = await this.take(deadline);
    try {
      await session.begin(options);
      return session;
    } catch (error) {
      await session.giveBack();
      if (isRepeated || !hadEnded(error, true)) throw error;
    }
    return this.begin(deadline, options, true);
  }

  /** Closes its own connections; takes at most about a second. Never rejects. */
  async close(timeoutMs = CLOSE_WAIT_MS): Promise<void> {
    this.#isClosed = true;
    await Promise.all([...this.#leases].map((lease) => lease.discard()));
    if (!this.options.ownsDataSource) return this.#watch.stop();
    const limitMs = Math.min(CLOSE_WAIT_MS, Math.max(LEAST_CLOSE_WAIT_MS, timeoutMs));
    const deadline = new Deadline(limitMs);
    await deadline.race(this.#destroy()).catch(() => {});
    await deadline.race(this.#watch.allClosed()).catch(() => {});
    // A connection with a silent peer would keep the process alive for minutes.
    this.cut();
    this.#watch.stop();
  }

  /**
   * A connection that the caller must always return or discard.
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

  /** A failure to connect, with its target. */
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
      // A runner that failed to connect would give the same failure again.
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
