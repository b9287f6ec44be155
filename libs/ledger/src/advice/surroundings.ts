import { availableParallelism } from 'node:os';
import { performance } from 'node:perf_hooks';
import type { Clock } from '../clock/clock.js';
import type { AdviceEnvironment } from './finding.interface.js';

/** Utilization of the event loop covers at least this period and at most twice this, in milliseconds. */
const SPAN_MS = 30_000;

/** Idle and active milliseconds of the event loop, and the active share. */
interface Utilization {
  readonly idle: number;
  readonly active: number;
  readonly utilization: number;
}

/** Node's `performance.eventLoopUtilization`: since the start, or since another reading. */
export type ReadUtilization = (since?: Utilization) => Utilization;

interface Mark {
  readonly at: number;
  readonly utilization: Utilization;
}

/**
 * Known facts about a ledger's machine and server. Reading them runs no query: the server's limit
 * was read when the server was reached, and Node always counts the event loop's idle time.
 *
 * @internal
 */
export class Surroundings {
  /** The server's `max_connections`, once it is known. */
  maxConnections: number | undefined;
  /** Maximum connections of this process, once the pool is known. */
  poolSize: number | undefined;
  readonly #clock: Clock;
  readonly #utilization: ReadUtilization;
  #marks: [Mark, Mark];

  constructor(
    clock: Clock,
    utilization: ReadUtilization = (since) => performance.eventLoopUtilization(since),
  ) {
    this.#clock = clock;
    this.#utilization = utilization;
    const mark = this.#mark();
    this.#marks = [mark, mark];
  }

  read(): AdviceEnvironment {
    const [, latest] = this.#marks;
    if (this.#clock.monotonic() - latest.at >= SPAN_MS) this.#marks = [latest, this.#mark()];
    const [since] = this.#marks;
    return {
      cores: availableParallelism(),
      maxConnections: this.maxConnections,
      poolSize: this.poolSize,
      eventLoopUtilization: this.#utilization(since.utilization).utilization,
    };
  }

  #mark(): Mark {
    return { at: this.#clock.monotonic(), utilization: this.#utilization() };
  }
}
