/** Bounds of the pause between attempts, in milliseconds. */
export interface RetryBounds {
  readonly minMs: number;
  readonly maxMs: number;
}

/**
 * Pause before an attempt is repeated: exponential with full jitter, at least 1 ms. Source:
 * "Exponential Backoff And Jitter", AWS Architecture Blog: full jitter spreads clients best.
 *
 * @param failures attempts that failed in a row, at least 1
 * @param random from 0 up to, but not including, 1
 */
export function retryDelayMs(failures: number, bounds: RetryBounds, random: number): number {
  // Above 2^30 the bound applies in any case, and the power must stay finite.
  const ceiling = Math.min(bounds.maxMs, bounds.minMs * 2 ** Math.min(failures - 1, 30));
  return Math.max(1, Math.round(ceiling * random));
}
