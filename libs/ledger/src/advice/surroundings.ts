import { availableParallelism } from 'node:os';
import { performance, type EventLoopUtilization } from 'node:perf_hooks';
import type { Clock } from '../writer/clock.js';
import type { AdviceEnvironment } from './finding.interface.js';

/** The event loop's utilization is told over this to twice this, in milliseconds. */
const SPAN_MS = 30_000;

interface Mark {
  readonly at: number;
  readonly utilization: EventLoopUtilization;
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
  #marks: [Mark, Mark];

  constructor(clock: Clock) {
    this.#clock = clock;
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
      eventLoopUtilization: performance.eventLoopUtilization(since.utilization).utilization,
    };
  }

  #mark(): Mark {
    return { at: this.#clock.monotonic(), utilization: performance.eventLoopUtilization() };
  }
}
