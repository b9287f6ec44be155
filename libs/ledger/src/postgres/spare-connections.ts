import { Deadline, DeadlineError } from '../clock/deadline.js';
import { LedgerReadError } from '../errors/ledger-read.error.js';
import type { PgConnections } from './pg-connections.js';
import type { PgSession, TransactionOptions } from './pg-session.js';
import type { SessionLender } from './session-lender.interface.js';
import { Turnstile, TurnstileFullError, type Leave, type TurnstileWait } from './turnstile.js';

/** Milliseconds that a report waits for its turn; they do not limit its run time. */
const REPORT_WAIT_MS = 10_000;

/** The turnstiles of one pool, shared by all ledgers on that pool. @internal */
export interface SpareTurnstiles {
  /** Everything except batches. */
  readonly all: Turnstile;
  /**
   * Reports, which hold a connection for as long as their reader needs: they leave one to the other
   * reads.
   */
  readonly reports: Turnstile;
}

/** @param size connections in addition to the workers' @internal */
export function createTurnstiles(size: number): SpareTurnstiles {
  const turnstiles = { all: new Turnstile(size), reports: new Turnstile(1) };
  resizeTurnstiles(turnstiles, size);
  return turnstiles;
}

/** @internal */
export function resizeTurnstiles({ all, reports }: SpareTurnstiles, size: number): void {
  all.resize(size);
  reports.resize(Math.max(1, size - 1));
}

/** Dependencies of the spare connections. @internal */
export interface SpareConnectionsOptions {
  readonly connections: PgConnections;
  /** Turnstiles of the pool; called each time, because the pool may be created later. */
  readonly turnstiles: () => SpareTurnstiles;
  /** Maximum waiting reads. */
  readonly maxWaitingReads: number;
}

/**
 * The connections of a pool in addition to the workers': for reads, and for the upkeep of rollups
 * and partitions.
 *
 * The pool serves requests in their order. All callers except workers therefore wait here until a
 * spare connection is free, and only then request it from the pool. No batch ever waits behind a
 * read, for any number of reads. Upkeep goes before reads, so that reads do not starve it.
 *
 * @internal
 */
export class SpareConnections {
  readonly reads: SessionLender;
  readonly upkeep: SessionLender;

  constructor(options: SpareConnectionsOptions) {
    this.reads = new ReadShare(options);
    this.upkeep = new UpkeepShare(options);
  }
}

class UpkeepShare implements SessionLender {
  constructor(private readonly options: SpareConnectionsOptions) {}

  async use<T>(deadline: Deadline, work: (session: PgSession) => Promise<T>): Promise<T> {
    const leave = await this.options.turnstiles().all.enter({ deadline, isUrgent: true });
    try {
      return await this.options.connections.use(deadline, work);
    } finally {
      leave();
    }
  }

  async begin(deadline: Deadline, options: TransactionOptions): Promise<PgSession> {
    const leave = await this.options.turnstiles().all.enter({ deadline, isUrgent: true });
    return beginAfter([leave], this.options.connections, deadline, options);
  }
}

/** Rejects with `LedgerReadError` `busy` if no turn comes. */
class ReadShare implements SessionLender {
  constructor(private readonly options: SpareConnectionsOptions) {}

  /** For a read of one round trip. */
  async use<T>(deadline: Deadline, work: (session: PgSession) => Promise<T>): Promise<T> {
    const leave = await this.#enter(this.options.turnstiles().all, deadline);
    try {
      return await this.options.connections.use(deadline, work, { isRead: true });
    } finally {
      leave();
    }
  }

  /**
   * For a read that holds its connection: waits at most ten seconds, and leaves one connection to
   * the others.
   */
  async begin(deadline: Deadline, options: TransactionOptions): Promise<PgSession> {
    const { all, reports } = this.options.turnstiles();
    const wait = new Deadline(Math.min(REPORT_WAIT_MS, deadline.remainingMs));
    const leaveReports = await this.#enter(reports, wait);
    try {
      const leave = await this.#enter(all, wait);
      return await beginAfter([leave, leaveReports], this.options.connections, deadline, options);
    } catch (error) {
      leaveReports();
      throw error;
    }
  }

  async #enter(turnstile: Turnstile, deadline: Deadline): Promise<Leave> {
    const { maxWaitingReads } = this.options;
    const wait: TurnstileWait = { deadline, maxWaiting: maxWaitingReads };
    try {
      return await turnstile.enter(wait);
    } catch (error) {
      if (error instanceof TurnstileFullError) {
        throw busy(`${turnstile.size} run and ${error.waiting} wait, which is the limit`);
      }
      if (error instanceof DeadlineError) {
        throw busy(`it did not get its turn within ${Math.round(deadline.limitMs)} ms`);
      }
      throw error;
    }
  }
}

function busy(what: string): LedgerReadError {
  const rule = `was not started, because too many reads are in progress (${what}); try again later`;
  return new LedgerReadError('busy', 'read', rule);
}

/** The places become free when the session is returned. */
async function beginAfter(
  leaves: readonly Leave[],
  connections: PgConnections,
  deadline: Deadline,
  options: TransactionOptions,
): Promise<PgSession> {
  const leaveAll = (): void => leaves.forEach((leave) => leave());
  try {
    const session = await connections.begin(deadline, options);
    session.whenReturned(leaveAll);
    return session;
  } catch (error) {
    leaveAll();
    throw error;
  }
}
