import { AUTO_LEAST_DELAY_MS, AUTO_MOST_DELAY_MS } from './auto-limits.js';
import type { SeenFlush } from './tuning.interface.js';

/**
 * The delay is this many times the fixed part of a flush, so that nine tenths of the time pass
 * without a flush. A multiple of the whole flush would feed back, because a longer delay makes a
 * longer flush. Measured: lag p99 471 ms and growing with the whole flush, 34 to 48 ms with the
 * fixed part.
 */
const DELAY_PER_FIXED_PART = 9;

/** A flush of more entries shows little of its fixed part. */
const SMALL_FLUSH = 100;
/** Kept small flushes, and the minimum for a conclusion. */
const KEPT = 64;
const ENOUGH = 8;
/** The percentile of the fixed part: below the median, because waits for a core only add time. */
const FIXED_SHARE = 0.1;
/** Older flushes, in milliseconds, do not show the server's present state. */
const FORGOTTEN_MS = 600_000;
/** Assumed milliseconds of a commit in addition to the round trip, until measured. */
const COMMIT_MS = 2;

/**
 * From this rate on, in entries a second, the least delay fills batches well enough. Below it a
 * longer delay saves CPU: it doubles with each tenth of the rate, to 50 ms at 1,000/s and 100 ms at
 * 100/s, about half of the p99 in that rate's profile.
 */
const BUSY_RATE = 10_000;
const QUIET_RATE = 100;

/** The delay, and its reason as a clause. @internal */
export interface ChosenDelay {
  readonly delayMs: number;
  readonly why: string;
}

/** Adds the small ones of the last flushes, and drops old ones. @internal */
export function keepSmallFlushes(
  kept: readonly SeenFlush[],
  seen: readonly SeenFlush[],
  at: number,
): readonly SeenFlush[] {
  const small = seen.filter(({ entries }) => entries <= SMALL_FLUSH);
  const isFresh = (flush: SeenFlush): boolean => at - flush.at <= FORGOTTEN_MS;
  if (small.length === 0 && kept.every(isFresh)) return kept;
  return [...kept, ...small].slice(-KEPT).filter(isFresh);
}

/** Whether flushes show the fixed part; otherwise a ping is used. @internal */
export function hasEnoughFlushes(smallFlushes: readonly SeenFlush[]): boolean {
  return smallFlushes.length >= ENOUGH;
}

/**
 * Milliseconds of a flush that do not depend on its number of entries.
 *
 * @returns undefined without flushes and ping
 * @internal
 */
export function fixedPartOf(
  smallFlushes: readonly SeenFlush[],
  pingMs: number | undefined,
): number | undefined {
  if (!hasEnoughFlushes(smallFlushes)) return pingMs === undefined ? undefined : pingMs + COMMIT_MS;
  const times = smallFlushes.map(({ ms }) => ms).sort((a, b) => a - b);
  return times[Math.floor((times.length - 1) * FIXED_SHARE)];
}

/**
 * The longest wait of the oldest entry for others.
 *
 * @param fixedMs fixed part of a flush; undefined if unknown
 * @param perSecond rate of entries; undefined if unknown
 * @internal
 */
export function chooseDelay(
  fixedMs: number | undefined,
  perSecond: number | undefined,
): ChosenDelay {
  const byFlush = Math.min(AUTO_MOST_DELAY_MS, (fixedMs ?? 0) * DELAY_PER_FIXED_PART);
  const byRate = perSecond === undefined ? 0 : delayAtRate(perSecond);
  if (byFlush > Math.max(byRate, AUTO_LEAST_DELAY_MS)) {
    const why =
      byFlush === AUTO_MOST_DELAY_MS
        ? 'the delay is the longest'
        : `the delay is ${DELAY_PER_FIXED_PART} x ${fixedMs!.toFixed(1)} ms, the fixed part of a flush`;
    return { delayMs: Math.round(byFlush), why };
  }
  if (byRate > AUTO_LEAST_DELAY_MS) {
    const rate = Math.round(perSecond!).toLocaleString('en-US');
    return {
      delayMs: Math.round(byRate),
      why: `the delay saves CPU while ${rate} entries/s arrive`,
    };
  }
  return { delayMs: AUTO_LEAST_DELAY_MS, why: 'the delay is the shortest' };
}

function delayAtRate(perSecond: number): number {
  const rate = Math.max(QUIET_RATE, Math.min(BUSY_RATE, perSecond));
  return AUTO_LEAST_DELAY_MS * 2 ** Math.log10(BUSY_RATE / rate);
}
