import type { LedgerLogger } from '../ports/ledger-logger.interface.js';
import { isLedgerError } from '../errors/is-ledger-error.js';
import type { Clock, Timer } from '../clock/clock.js';

/**
 * After this long without a refusal one more worker may try. Source: pg-pool closes a connection
 * after 10 s without use.
 */
const RAISE_MS = 10_000;
/** SQLSTATE of a server without a free connection. Source: PostgreSQL 18, appendix A. */
const TOO_MANY_CONNECTIONS = '53300';

interface Waiter {
  readonly position: number;
  readonly go: () => void;
}

/** Dependencies of the limit. */
export interface ConnectionLimitParts {
  readonly clock: Clock;
  readonly logger: LedgerLogger;
  /** Read each time, because the pool's size may lower it until the start. */
  readonly numWorkers: () => number;
}

/**
 * Bounds the concurrent attempts. No limit -> limited (`refused`: half of the attempted
 * connections, at least one) -> one more after each ten seconds without a refusal -> no limit. A
 * server without free connections is thus not asked for `numWorkers` of them repeatedly.
 *
 * @internal
 */
export class ConnectionLimit {
  readonly #parts: ConnectionLimitParts;
  readonly #waiters: Waiter[] = [];
  #most = Number.POSITIVE_INFINITY;
  #underWay = 0;
  #isLifted = false;
  #timer: Timer | undefined;

  constructor(parts: ConnectionLimitParts) {
    this.#parts = parts;
  }

  /**
   * At most one attempt for each worker: held rows are tried on a connection that a worker does not
   * use.
   */
  get #limit(): number {
    return this.#isLifted
      ? Number.POSITIVE_INFINITY
      : Math.min(this.#most, this.#parts.numWorkers());
  }

  /**
   * Resolves when an attempt may be made; `leave` ends it.
   * @param position of the batch: the lowest waiting position goes first
   */
  enter(position: number): Promise<void> {
    if (this.#underWay < this.#limit) {
      this.#underWay++;
      return Promise.resolve();
    }
    return new Promise((resolve) => this.#waiters.push({ position, go: resolve }));
  }

  /** An attempt has ended. */
  leave(): void {
    this.#underWay--;
    this.#admit();
  }

  /**
   * Notes a failed attempt, which may mean that the server has no free connection; called before
   * `leave`.
   */
  noteFailure(error: unknown): void {
    if (isLedgerError(error, 'SINK_TRANSIENT') && error.sqlState === TOO_MANY_CONNECTIONS)
      this.#refused();
  }

  #refused(): void {
    const { logger, numWorkers } = this.#parts;
    const tried = Math.min(this.#underWay, this.#most, numWorkers());
    const most = Math.max(1, tried >>> 1);
    if (most < this.#most && most < numWorkers()) {
      logger.warn(
        `WARNING: the server has no connection left (${TOO_MANY_CONNECTIONS}): ` +
          `using ${most} of ${numWorkers()} workers for now`,
      );
      this.#most = most;
    }
    this.#raiseLater();
  }

  #raiseLater(): void {
    this.#timer?.cancel();
    this.#timer = undefined;
    if (this.#most === Number.POSITIVE_INFINITY) return;
    this.#timer = this.#parts.clock.after(RAISE_MS, () => {
      this.#most++;
      if (this.#most >= this.#parts.numWorkers()) {
        this.#most = Number.POSITIVE_INFINITY;
        this.#parts.logger.log(`using all ${this.#parts.numWorkers()} workers again`);
      }
      this.#admit();
      this.#raiseLater();
    });
  }

  /**
   * Ends all waits and the limit: the process stops, and each attempt meets the server's limit
   * itself.
   */
  lift(): void {
    this.#isLifted = true;
    this.#most = Number.POSITIVE_INFINITY;
    this.#raiseLater();
    this.#admit();
  }

  #admit(): void {
    while (this.#waiters.length > 0 && this.#underWay < this.#limit) {
      let first = 0;
      for (let i = 1; i < this.#waiters.length; i++) {
        if (this.#waiters[i]!.position < this.#waiters[first]!.position) first = i;
      }
      this.#underWay++;
      this.#waiters.splice(first, 1)[0]!.go();
    }
  }
}
