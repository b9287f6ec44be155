import type { Counters } from './counters.js';

/**
 * Calls the application back. Its errors are counted, including rejections of an async function,
 * which would otherwise end the process. Never throws.
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
