import { getPriority, setPriority } from 'node:os';

/** Steps of niceness: the event loop goes first where there are too few processors for both. */
const STEPS = 10;
const LAST_NICENESS = 19;

/**
 * Lets the event loop go before the thread that calls this. On Linux only, where each thread has a
 * priority of its own; elsewhere it would be that of the whole process. Never throws.
 */
export function lowerPriority(): void {
  if (process.platform !== 'linux') return;
  try {
    setPriority(Math.min(getPriority() + STEPS, LAST_NICENESS));
  } catch {
    // A sandbox may forbid it; the thread then has its share of time like any other.
  }
}
