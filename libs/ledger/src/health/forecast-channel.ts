import type { LedgerStats } from '../ports/ledger-stats.interface.js';
import type { ChannelRates } from './rate-meter.js';

/** Forecast of the channel at the current rate; milliseconds, rounded up. @internal */
export interface ChannelForecast {
  /**
   * Time until the channel is full; 0 if it is full; null if it is not filling or the rate is
   * unknown.
   */
  readonly timeToFullMs: number | null;
  /**
   * Time until the channel is empty; 0 if it is; null if it is not emptying or the rate is unknown.
   */
  readonly drainEtaMs: number | null;
}

type Filled = Pick<
  LedgerStats,
  'depth' | 'inFlight' | 'capacity' | 'saturation' | 'bytes' | 'journal' | 'settings'
>;

/** @internal */
export function forecastChannel(stats: Filled, rates: ChannelRates | null): ChannelForecast {
  const growth = rates === null ? 0 : rates.taken - rates.settled;
  const room = roomOf(stats);
  const backlog = stats.depth + stats.inFlight;
  return {
    timeToFullMs:
      room <= 0
        ? 0
        : growth > 0 && Number.isFinite(room)
          ? Math.ceil((room / growth) * 1000)
          : null,
    drainEtaMs: backlog === 0 ? 0 : growth < 0 ? Math.ceil((backlog / -growth) * 1000) : null,
  };
}

/** Entries that still fit: by number, or by bytes at the current mean size, whichever is fewer. */
function roomOf(stats: Filled): number {
  const { depth, inFlight, capacity, saturation } = stats;
  const journalBytes = journalBytesOf(stats);
  if (journalBytes !== undefined) return roomOnDisk(stats, journalBytes);
  const byNumber = capacity - depth;
  if (saturation <= depth / capacity) return byNumber;
  return Math.min(byNumber, (depth + inFlight) * (1 / saturation - 1));
}

/** Maximum bytes of the channel on disk; undefined if entries are in memory. */
function journalBytesOf({ journal, settings }: Filled): number | undefined {
  const bytes = settings['journalMaxBytes']?.value;
  const isOnDisk = settings['overflow']?.value === 'disk' && journal !== null;
  return isOnDisk && journal.state !== 'degraded' && typeof bytes === 'number' ? bytes : undefined;
}

/**
 * The number of entries is not a bound there. Without an entry the mean is unknown, and nothing
 * fills.
 */
function roomOnDisk({ depth, inFlight, bytes, saturation }: Filled, journalBytes: number): number {
  if (saturation >= 1) return 0;
  const rowBytes = bytes / Math.max(1, depth + inFlight);
  return rowBytes === 0 ? Number.POSITIVE_INFINITY : ((1 - saturation) * journalBytes) / rowBytes;
}
