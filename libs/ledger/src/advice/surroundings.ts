import { availableParallelism } from 'node:os';
import { performance } from 'node:perf_hooks';
import type { Clock } from '../clock/clock.js';
import type { AdviceEnvironment } from './finding.interface.js';

/** Utilization of the event loop covers at least this period and at most twice this, in milliseconds. */
const SPAN_MS = 30_000;

/** Milliseconds in which the event loop had nothing to do and something, and the share of these. */
interface Utilization {
  readonly idle: number;
  readonly active: number;
  readonly utilization: number;
}

/** As Node's `performance.eventLoopUtilization`: of all its time, or of that since another. */
export type ReadUtilization = (since?: Utilization) => Utilization;

interface Mark {
  readonly at: number;
  readonly utilization: Utilization;
}

/**
 * What a ledger knows of its machine and its server. Reading it asks nobody: the server's limit is
 * what it said when it was reached, and Node counts the event loop's idle time in any case.
 *
 * @internal
 */
export class Surroundings {
  /** The server's `max_connections`, once it was asked. */
  maxConnections: number | undefined;
  /** Connections that this process may open, once the pool is known. */
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
