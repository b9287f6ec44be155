import { getPriority, setPriority } from 'node:os';

/** Steps of niceness: the event loop has priority if there are too few processors for both. */
const STEPS = 10;
const LAST_NICENESS = 19;

/**
 * Gives the event loop priority over the calling thread. On Linux only, where each thread has its
 * own priority; elsewhere it would apply to the whole process. Never throws.
 */
export function lowerPriority(): void {
  if (process.platform !== 'linux') return;
  try {
    setPriority(Math.min(getPriority() + STEPS, LAST_NICENESS));
  } catch {
    // A sandbox may forbid it; the thread then has the normal priority.
  }
}
