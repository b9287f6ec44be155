import { performance } from 'node:perf_hooks';
import * as timers from 'node:timers';
import { promisify } from 'node:util';

/**
 * Node's own timers, kept as they were when this file was loaded. Test runners replace those of the
 * global object (Jest, Vitest, sinon), and a ledger that waited for a replaced one would wait until
 * the test moves its time on: a flush, or the stop of an application, would hang. The date is left to
 * them on purpose: `createdAt` follows a faked one.
 *
 * @internal
 */
export const realTimers = Object.freeze({
  setTimeout: timers.setTimeout,
  clearTimeout: timers.clearTimeout,
  setInterval: timers.setInterval,
  clearInterval: timers.clearInterval,
  setImmediate: timers.setImmediate,
  /** Resolves after so many milliseconds. */
  pause: promisify(timers.setTimeout),
  /** Resolves in the next turn of the event loop. */
  turn: promisify(timers.setImmediate),
  /** Milliseconds on a scale that never jumps. */
  monotonic: performance.now.bind<() => number>(performance),
});
