import type { Clock, Timer } from '../clock/clock.js';

/** Why a wait ended: the row is durable, the journal takes no rows now, or the time is up. */
export type DurableEnd = 'durable' | 'degraded' | 'timeout';

interface Waiter {
  readonly position: number;
  /** Monotonic milliseconds. */
  readonly deadline: number;
  readonly settle: (end: DurableEnd) => void;
}

/**
 * Callers who wait until their row is durable, by position. Most waits end within a millisecond, so
 * one timer serves all of them.
 *
 * @internal
 */
export class DurableLine {
  readonly #clock: Clock;
  #waiters: Waiter[] = [];
  #timer: Timer | undefined;
  #timerAt = Number.POSITIVE_INFINITY;

  constructor(clock: Clock) {
    this.#clock = clock;
  }

  /** Number of waiting callers. */
  get waiting(): number {
    return this.#waiters.length;
  }

  /**
   * Adds a caller, in ascending order of positions.
   * @param settle called exactly once, unless the wait is cancelled; must not throw
   * @returns cancels the wait
   */
  join(position: number, timeoutMs: number, settle: (end: DurableEnd) => void): () => void {
    const deadline = this.#clock.monotonic() + timeoutMs;
    const waiter = { position, deadline, settle };
    this.#waiters.push(waiter);
    this.#arm(deadline);
    return () => {
      const index = this.#waiters.indexOf(waiter);
      if (index >= 0) this.#waiters.splice(index, 1);
    };
  }

  /** Ends the waits for rows before a position, which are durable. */
  settleUntil(position: number): void {
    const waiters = this.#waiters;
    let end = 0;
    while (end < waiters.length && waiters[end]!.position < position) end++;
    if (end === 0) return;
    this.#waiters = end === waiters.length ? [] : waiters.slice(end);
    for (let i = 0; i < end; i++) waiters[i]!.settle('durable');
  }

  /** Ends all waits: the journal takes no rows now. */
  degrade(): void {
    for (const { settle } of this.#waiters.splice(0)) settle('degraded');
  }

  #arm(deadline: number): void {
    if (deadline >= this.#timerAt) return;
    this.#timer?.cancel();
    this.#timerAt = deadline;
    const ms = Math.max(0, deadline - this.#clock.monotonic());
    this.#timer = this.#clock.after(ms, () => this.#expire());
  }

  #expire(): void {
    this.#timer = undefined;
    this.#timerAt = Number.POSITIVE_INFINITY;
    const now = this.#clock.monotonic();
    const late = this.#waiters.filter(({ deadline }) => deadline <= now);
    if (late.length > 0) this.#waiters = this.#waiters.filter(({ deadline }) => deadline > now);
    for (const { settle } of late) settle('timeout');
    let next = Number.POSITIVE_INFINITY;
    for (const { deadline } of this.#waiters) next = Math.min(next, deadline);
    if (next < Number.POSITIVE_INFINITY) this.#arm(next);
  }
}
