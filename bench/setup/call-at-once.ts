import { percentile } from './figures.js';

/** Results of callers that each wait for their answer before the next call. */
export interface Calls {
  readonly count: number;
  readonly perSecond: number;
  /** Wait of a call in milliseconds. */
  readonly p50: number;
  readonly p99: number;
}

/**
 * Lets callers call until the time is over, and waits for their last answers. @param call receives
 * its number
 */
export async function callAtOnce(
  { callers, ms }: { readonly callers: number; readonly ms: number },
  call: (i: number) => Promise<unknown>,
): Promise<Calls> {
  const waits: number[] = [];
  const startedAt = performance.now();
  const caller = async (): Promise<void> => {
    while (performance.now() - startedAt < ms) {
      const calledAt = performance.now();
      await call(waits.length);
      waits.push(performance.now() - calledAt);
    }
  };
  await Promise.all(Array.from({ length: callers }, caller));
  const perSecond = (waits.length * 1000) / (performance.now() - startedAt);
  return {
    count: waits.length,
    perSecond,
    p50: percentile(waits, 0.5),
    p99: percentile(waits, 0.99),
  };
}
