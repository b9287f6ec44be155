import type { Clock, Timer } from '../clock/clock.js';
import { retryDelayMs, type RetryBounds } from './retry-policy.js';

interface Waiter {
  readonly position: number;
  readonly go: (isProbe: boolean) => void;
}

/** Dependencies of the outage. */
export interface OutageParts {
  readonly clock: Clock;
  readonly retry: RetryBounds;
  /** A number from 0 up to, but not including, 1. */
  readonly random: () => number;
}

/**
 * The gate before all attempts. While it is open, attempts pass at once. It closes when an attempt
 * fails for a reason outside the batch. While it is closed, one probe passes at a time, the oldest
 * batch first, after a growing pause. The first attempt that reaches the server opens the gate for
 * all. A recovering server thus gets one connection and not `numWorkers` of them.
 *
 * @internal
 */
export class Outage {
  /** Whether the gate is closed: the last attempt failed, and none succeeded since. */
  isOn = false;
  readonly #parts: OutageParts;
  readonly #waiters: Waiter[] = [];
  #failures = 0;
  #isSlow = false;
  #isProbing = false;
  #timer: Timer | undefined;

  constructor(parts: OutageParts) {
    this.#parts = parts;
  }

  /**
   * Resolves when an attempt may be made; the value is whether it is the probe.
   * @param position of the batch: the lowest waiting position goes first
   */
  pass(position: number): Promise<boolean> {
    if (!this.isOn) return Promise.resolve(false);
    return new Promise((resolve) => {
      this.#waiters.push({ position, go: resolve });
      this.#elect();
    });
  }

  /**
   * An attempt failed. @param isSlow the server refuses all batches, so try only at the longest
   * pause
   */
  failed(isProbe: boolean, isSlow: boolean): void {
    if (isProbe) this.#isProbing = false;
    if (isProbe || !this.isOn) this.#failures++;
    this.#isSlow = isSlow;
    this.isOn = true;
    this.#elect();
  }

  /** The caller that passed has nothing to try. @param isProbe the next waiter becomes the probe */
  passOn(isProbe: boolean): void {
    if (!isProbe) return;
    this.#isProbing = false;
    this.#probe();
  }

  /** An attempt reached the server, whatever its answer about the rows. */
  reached(): void {
    this.isOn = false;
    this.#failures = 0;
    this.#isProbing = false;
    this.#isSlow = false;
    this.#timer?.cancel();
    this.#timer = undefined;
    this.#letAll();
  }

  /** Shortens the pause, because the process stops and little time is left. */
  hurry(): void {
    this.#failures = Math.min(this.#failures, 1);
    this.#isSlow = false;
    if (this.#timer === undefined) return;
    this.#timer.cancel();
    this.#timer = undefined;
    this.#elect();
  }

  #letAll(): void {
    for (const { go } of this.#waiters.splice(0)) go(false);
  }

  #elect(): void {
    if (this.#isProbing || this.#timer !== undefined || this.#waiters.length === 0) return;
    const { clock, retry, random } = this.#parts;
    const delayMs = this.#isSlow ? retry.maxMs : retryDelayMs(this.#failures, retry, random());
    this.#timer = clock.after(delayMs, () => {
      this.#timer = undefined;
      this.#probe();
    });
  }

  #probe(): void {
    let oldest = 0;
    for (let i = 1; i < this.#waiters.length; i++) {
      if (this.#waiters[i]!.position < this.#waiters[oldest]!.position) oldest = i;
    }
    const [waiter] = this.#waiters.splice(oldest, 1);
    if (waiter === undefined) return;
    this.#isProbing = true;
    waiter.go(true);
  }
}
