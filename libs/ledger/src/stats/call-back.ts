import type { Counters } from './counters.js';

/**
 * Calls the application back. What it throws is counted, also where it is an async function that
 * throws later: its rejection would end the process otherwise. Never throws.
 *
 * @internal
 */
export function callBack(counters: Counters, call: () => unknown): void {
  const count = (): void => {
    counters.callbackErrors++;
  };
  try {
    Promise.resolve(call()).catch(count);
  } catch {
    count();
  }
}
