import type { LedgerStats } from '../ports/ledger-stats.interface.js';
import type { ChannelRates } from './rate-meter.js';

/** Where the channel is going at the present rate; milliseconds, rounded up. @internal */
export interface ChannelForecast {
  /** Until the channel is full; 0 if it is; null if it isn't filling or the rate isn't known. */
  readonly timeToFullMs: number | null;
  /** Until nothing is left to write; 0 if so; null if it isn't emptying or the rate isn't known. */
  readonly drainEtaMs: number | null;
}

type Filled = Pick<LedgerStats, 'depth' | 'inFlight' | 'capacity' | 'saturation'>;

/** @internal */
export function forecastChannel(stats: Filled, rates: ChannelRates | null): ChannelForecast {
  const growth = rates === null ? 0 : rates.queued - rates.settled;
  const room = roomOf(stats);
  const backlog = stats.depth + stats.inFlight;
  return {
    timeToFullMs: room <= 0 ? 0 : growth > 0 ? Math.ceil((room / growth) * 1000) : null,
    drainEtaMs: backlog === 0 ? 0 : growth < 0 ? Math.ceil((backlog / -growth) * 1000) : null,
  };
}

/** Entries that still fit: by number, or by bytes at their present mean if those are nearer. */
function roomOf({ depth, inFlight, capacity, saturation }: Filled): number {
  const byNumber = capacity - depth;
  if (saturation <= depth / capacity) return byNumber;
  return Math.min(byNumber, (depth + inFlight) * (1 / saturation - 1));
}
