import type { Clock } from '../clock/clock.js';

interface Waiter {
  readonly position: number;
  readonly done: (isSettled: boolean) => void;
}

/**
 * Waits until every entry before a position is settled.
 *
 * @internal
 */
export class SettledLine {
  readonly #waiters = new Set<Waiter>();
  readonly #clock: Clock;
  readonly #settledUntil: () => number;

  /** @param settledUntil the lowest unsettled position */
  constructor(clock: Clock, settledUntil: () => number) {
    this.#clock = clock;
    this.#settledUntil = settledUntil;
  }

  /**
   * Resolves to true once every entry before `position` is settled, to false after `timeoutMs`.
   * Never rejects.
   */
  wait(position: number, timeoutMs: number): Promise<boolean> {
    if (this.#settledUntil() >= position) return Promise.resolve(true);
    return new Promise((resolve) => {
      const timer = this.#clock.after(timeoutMs, () => waiter.done(false));
      // While the server is unreachable nothing else may keep the process alive, and the wait must
      // end.
      const hold = this.#clock.hold();
      const waiter: Waiter = {
        position,
        done: (isSettled) => {
          timer.cancel();
          hold.cancel();
          this.#waiters.delete(waiter);
          resolve(isSettled);
        },
      };
      this.#waiters.add(waiter);
    });
  }

  /** Ends all waits: no further entry will be settled. */
  end(isSettled: boolean): void {
    for (const waiter of [...this.#waiters]) waiter.done(isSettled);
  }

  /** Checks which waits are over; called after entries were settled. */
  check(): void {
    if (this.#waiters.size === 0) return;
    const settled = this.#settledUntil();
    for (const waiter of [...this.#waiters]) if (settled >= waiter.position) waiter.done(true);
  }
}
