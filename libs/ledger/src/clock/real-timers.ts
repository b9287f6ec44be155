import { performance } from 'node:perf_hooks';
import * as timers from 'node:timers';
import { promisify } from 'node:util';

/**
 * Node's timers, as they were when this file was loaded. Test runners (Jest, Vitest, sinon) replace
 * the global ones. A ledger that waited for a replaced timer would wait until the test advances its
 * time, so a flush or the stop of an application would hang. The date is deliberately not included:
 * `createdAt` follows a faked one.
 *
 * @internal
 */
export const realTimers = Object.freeze({
  setTimeout: timers.setTimeout,
  clearTimeout: timers.clearTimeout,
  setInterval: timers.setInterval,
  clearInterval: timers.clearInterval,
  setImmediate: timers.setImmediate,
  /** Resolves after this many milliseconds. */
  pause: promisify(timers.setTimeout),
  /** Resolves in the next turn of the event loop. */
  turn: promisify(timers.setImmediate),
  /** Milliseconds on a scale that never jumps. */
  monotonic: performance.now.bind<() => number>(performance),
});
