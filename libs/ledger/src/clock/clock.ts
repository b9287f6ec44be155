import { realTimers } from './real-timers.js';

/** A timer that can be cancelled; it never keeps the process alive. @publicApi */
export interface Timer {
  /** Prevents the callback; no effect if it was called already. */
  cancel(): void;
}

/** The ledger's source of time, replaceable in tests. @publicApi */
export interface Clock {
  /** Milliseconds since 1970. */
  now(): number;
  /** Milliseconds on a scale that never jumps; only differences are meaningful. */
  monotonic(): number;
  /** Calls back once after at least `ms` milliseconds. */
  after(ms: number, callback: () => void): Timer;
  /** Calls back after one turn of the event loop. */
  nextTurn(callback: () => void): void;
  /** Keeps the process alive until cancelled, for a wait that must complete. */
  hold(): Timer;
}

/** The longest interval that Node accepts. Source: its manual, timers. */
const LONGEST_INTERVAL_MS = 2 ** 31 - 1;

/** The machine's clock, even while a test runner fakes timers. @internal */
export const systemClock: Clock = {
  // Read on each call, so that a faked date applies.
  now: () => Date.now(),
  monotonic: realTimers.monotonic,
  after(ms, callback) {
    const timer = realTimers.setTimeout(callback, ms);
    timer.unref();
    return { cancel: () => realTimers.clearTimeout(timer) };
  },
  nextTurn(callback) {
    realTimers.setImmediate(callback);
  },
  hold() {
    const timer = realTimers.setInterval(() => {}, LONGEST_INTERVAL_MS);
    return { cancel: () => realTimers.clearInterval(timer) };
  },
};

/** Resolves after at least `ms` milliseconds. @internal */
export function pause(clock: Clock, ms: number): Promise<void> {
  return new Promise((resolve) => clock.after(ms, resolve));
}

/** Resolves when the promise does, or after `ms` milliseconds; rejects only if the promise does. */
export async function atMost(clock: Clock, ms: number, promise: Promise<unknown>): Promise<void> {
  let timer: Timer | undefined;
  const limit = new Promise<void>((resolve) => (timer = clock.after(ms, resolve)));
  try {
    await Promise.race([promise, limit]);
  } finally {
    timer?.cancel();
  }
}
