import { monitorEventLoopDelay, performance } from 'node:perf_hooks';

/** State of an event loop over a time. Milliseconds, except for the shares. */
export interface LoopReport {
  readonly p50: number;
  readonly p99: number;
  readonly max: number;
  /** 0 to 1: share of the time that the loop was busy. */
  readonly utilisation: number;
  /** CPU of the process as a share of one core. */
  readonly cpu: number;
}

/** Watches this process's event loop from now on. */
export class LoopWatch {
  readonly #delay = monitorEventLoopDelay({ resolution: 1 });
  readonly #loop = performance.eventLoopUtilization();
  readonly #cpu = process.cpuUsage();
  readonly #startedAt = performance.now();

  /** @param isDelayWatched false: only utilisation and CPU, delays are then 0 */
  constructor(isDelayWatched = true) {
    if (isDelayWatched) this.#delay.enable();
  }

  stop(): LoopReport {
    this.#delay.disable();
    const { user, system } = process.cpuUsage(this.#cpu);
    // The histogram counts the resolution itself, a millisecond, as delay.
    const ms = (ns: number): number => Math.max(0, ns / 1e6 - 1);
    return {
      p50: ms(this.#delay.percentile(50)),
      p99: ms(this.#delay.percentile(99)),
      max: ms(this.#delay.max),
      utilisation: performance.eventLoopUtilization(this.#loop).utilization,
      cpu: (user + system) / 1000 / (performance.now() - this.#startedAt),
    };
  }
}
