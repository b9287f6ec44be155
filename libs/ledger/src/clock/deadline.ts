import { realTimers } from './real-timers.js';

/** The time of an attempt is up. @internal */
export class DeadlineError extends Error {
  /** @param limitMs time limit of the whole attempt */
  constructor(readonly limitMs: number) {
    super(`no answer within ${limitMs} ms`);
    this.name = 'DeadlineError';
  }
}

/** The end of one attempt, including its connection. @internal */
export class Deadline {
  readonly #endsAt: number;

  /** @param limitMs milliseconds from now; `Infinity`: no limit */
  constructor(readonly limitMs: number) {
    this.#endsAt = realTimers.monotonic() + limitMs;
  }

  /** Milliseconds left, at least 0. */
  get remainingMs(): number {
    return Math.max(0, this.#endsAt - realTimers.monotonic());
  }

  /**
   * Settles like `work`, or rejects when the time is up; `work` then continues unobserved.
   *
   * @throws DeadlineError when the time is up
   */
  async race<T>(work: Promise<T>): Promise<T> {
    if (this.#endsAt === Number.POSITIVE_INFINITY) return work;
    let timer: NodeJS.Timeout | undefined;
    const timeUp = new Promise<never>((_, reject) => {
      const end = (): void => reject(new DeadlineError(this.limitMs));
      // If the process was held up, the answer may have arrived: Node reads it after the timers, and
      // before `setImmediate`. The timer keeps the process alive, because a drain must not end before it.
      timer = realTimers.setTimeout(() => realTimers.setImmediate(end), this.remainingMs);
    });
    try {
      return await Promise.race([work, timeUp]);
    } finally {
      realTimers.clearTimeout(timer);
    }
  }
}
