import { AUTO_LEAST_DELAY_MS } from './auto-limits.js';
import { chooseDelay, fixedPartOf, keepSmallFlushes, type ChosenDelay } from './choose-delay.js';
import { beginSearch, searchWorkers } from './search-workers.js';
import type { Tuning, TuningBounds, TuningWindow } from './tuning.interface.js';

/** Trials shown in the stats. */
const SHOWN_TRIALS = 8;
/** The rate of entries is measured over the last this many milliseconds, at least a second. */
const RATE_MS = 5_000;
const LEAST_RATE_MS = 1_000;
/**
 * The delay changes only by at least this share, because a figure that changes each second is
 * useless.
 */
const DELAY_STEP = 0.1;

/**
 * The initial figures of a ledger.
 *
 * @param workers initial number
 * @param window the first look, without flushes
 * @internal
 */
export function beginTuning(
  { delayMs = AUTO_LEAST_DELAY_MS, workers }: { delayMs?: number; workers: number },
  { at, now, queued }: Pick<TuningWindow, 'at' | 'now' | 'queued'>,
): Tuning {
  const search = beginSearch(workers, at);
  return {
    delayMs,
    workers,
    whyDelay: 'the delay is the shortest',
    whyWorkers: search.why,
    since: now,
    smallFlushes: [],
    marks: [{ at, queued }],
    search,
    tried: [],
  };
}

/**
 * The next decision. Pure: the same tuning, window and bounds give the same answer, and the
 * window's clock is the only time.
 *
 * @param window later than all before it
 * @internal
 */
export function tune(before: Tuning, window: TuningWindow, bounds: TuningBounds): Tuning {
  const { at, now, flushes, queued } = window;
  const smallFlushes = keepSmallFlushes(before.smallFlushes, flushes, at);
  const marks = marksUntil(before.marks, { at, queued });
  const { delayMs, why: whyDelay } = delayOf({ ...before, smallFlushes, marks }, window, bounds);
  const { search, verdict } = bounds.areWorkersAuto
    ? searchWorkers(before.search, window, bounds)
    : { search: before.search, verdict: undefined };
  const { workers, hindrance, why } = search;
  const whyWorkers = hindrance ?? why;
  const isChanged = delayMs !== before.delayMs || workers !== before.workers;
  const tried =
    verdict === undefined
      ? before.tried
      : [...before.tried, Object.freeze({ ...verdict, at: now })].slice(-SHOWN_TRIALS);
  const since = isChanged ? now : before.since;
  return { delayMs, workers, whyDelay, whyWorkers, since, smallFlushes, marks, search, tried };
}

function delayOf(
  { delayMs, whyDelay, smallFlushes, marks }: Tuning,
  { pingMs }: TuningWindow,
  { isDelayAuto }: TuningBounds,
): ChosenDelay {
  if (!isDelayAuto) return { delayMs, why: whyDelay };
  const chosen = chooseDelay(fixedPartOf(smallFlushes, pingMs), rateOf(marks));
  const isNear = Math.abs(chosen.delayMs - delayMs) < delayMs * DELAY_STEP;
  return isNear ? { delayMs, why: whyDelay } : chosen;
}

type Mark = Tuning['marks'][number];

/** The youngest mark that is old enough, and all after it. */
function marksUntil(marks: readonly Mark[], mark: Mark): readonly Mark[] {
  const all = [...marks, mark];
  const first = all.findLastIndex(({ at }) => mark.at - at >= RATE_MS);
  return all.slice(Math.max(0, first));
}

/** Entries a second; undefined while the window is too short. */
function rateOf(marks: readonly Mark[]): number | undefined {
  const [first] = marks;
  const last = marks.at(-1);
  if (first === undefined || last === undefined || last.at - first.at < LEAST_RATE_MS)
    return undefined;
  return ((last.queued - first.queued) * 1000) / (last.at - first.at);
}
