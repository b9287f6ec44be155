import { AUTO_LEAST_DELAY_MS, AUTO_MOST_DELAY_MS } from './auto-limits.js';
import type { SeenFlush } from './tuning.interface.js';

/**
 * The delay is this many times the fixed part of a flush: then nine tenths of the time pass without
 * one. A multiple of the whole flush would feed back, since a longer delay makes a longer flush. Measured:
 * lag p99 471 ms and growing with the whole flush, 34 to 48 ms with the fixed part.
 */
const DELAY_PER_FIXED_PART = 9;

/** A flush of more entries says little of its fixed part. */
const SMALL_FLUSH = 100;
/** Small flushes that are kept, and how many of them say enough. */
const KEPT = 64;
const ENOUGH = 8;
/** Which of them is the fixed part: below the median, since waits for a core only add to it. */
const FIXED_SHARE = 0.1;
/** A flush is older than this, in milliseconds, and says nothing of the server as it is. */
const FORGOTTEN_MS = 600_000;
/** What a commit takes beside the round trip, in milliseconds, until it was measured. */
const COMMIT_MS = 2;

/**
 * Entries a second from which the least delay fills batches well enough. Below it a longer delay saves
 * CPU: it doubles with each tenth of the rate, to 50 ms at 1,000/s and 100 ms at 100/s, about half of
 * the p99 that the profile of that rate has.
 */
const BUSY_RATE = 10_000;
const QUIET_RATE = 100;

/** The delay, and why, as a clause. @internal */
export interface ChosenDelay {
  readonly delayMs: number;
  readonly why: string;
}

/** Adds the small flushes among those that were just seen, and forgets old ones. @internal */
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

/** Whether the fixed part is known from flushes; if not, a ping has to do. @internal */
export function hasEnoughFlushes(smallFlushes: readonly SeenFlush[]): boolean {
  return smallFlushes.length >= ENOUGH;
}

/**
 * Milliseconds of a flush that do not depend on the number of its entries.
 *
 * @returns undefined if neither flushes nor a ping were seen
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
 * How long the oldest entry waits for company.
 *
 * @param fixedMs of a flush; undefined: it is not known yet
 * @param perSecond entries that come; undefined: it is not known yet
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
