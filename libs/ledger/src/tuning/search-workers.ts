import type { TuningBounds, TuningWindow } from './tuning.interface.js';
import {
  beginTrial,
  goOn,
  isTooSlow,
  ratioOfCutTurn,
  TURN_FLUSHES,
  TURN_MS,
  verdictOf,
  workersOf,
  type WorkerTrial,
} from './worker-trial.js';

/**
 * Waiting full batches from which the workers are the bottleneck, and those needed to continue a
 * trial.
 */
const BACKLOG = 2;
const LEAST_BACKLOG = 1;
/** Pause after a trial without a gain, in milliseconds; it doubles with each, up to an hour. */
const FIRST_PAUSE_MS = 300_000;
const LONGEST_PAUSE_MS = 3_600_000;
/** Pause after an interrupted trial, in milliseconds. */
const INTERRUPTED_PAUSE_MS = 30_000;
/** A worker not needed for this long, in milliseconds, is removed. */
const IDLE_MS = 600_000;

/** The search for the number of workers. Immutable. @internal */
export interface WorkerSearch {
  readonly workers: number;
  /** Undefined if no trial runs. */
  readonly trial: WorkerTrial | undefined;
  /**
   * Monotonic milliseconds since which the workers are the bottleneck; undefined if they are not.
   */
  readonly boundSince: number | undefined;
  /** Flushes since then. */
  readonly boundFlushes: number;
  /** No trial begins before these monotonic milliseconds. */
  readonly notBefore: number;
  /** Pause after the next trial without a gain. */
  readonly pauseMs: number;
  /** Start of the count of busy workers, and the most that were busy at once since then. */
  readonly peakSince: number;
  readonly peakBusy: number;
  /** Reason for the number of workers. */
  readonly why: string;
  /**
   * Reason why no trial begins although the workers are the bottleneck; undefined if they are not,
   * or a trial may begin.
   */
  readonly hindrance: string | undefined;
}

/** The changes made by one look. @internal */
export interface SearchStep {
  readonly search: WorkerSearch;
  /** A trial that ended with a verdict. */
  readonly verdict:
    { readonly workers: number; readonly ratio: number; readonly isKept: boolean } | undefined;
}

/** @internal */
export function beginSearch(workers: number, at: number): WorkerSearch {
  return {
    workers,
    trial: undefined,
    boundSince: undefined,
    boundFlushes: 0,
    notBefore: at,
    pauseMs: FIRST_PAUSE_MS,
    peakSince: at,
    peakBusy: 0,
    why: `${counted(workers)} to begin with`,
    hindrance: undefined,
  };
}

/** Pure: the same search, window and bounds give the same step. @internal */
export function searchWorkers(
  search: WorkerSearch,
  window: TuningWindow,
  bounds: TuningBounds,
): SearchStep {
  if (search.workers > bounds.mostWorkers) {
    const why = `no more than ${counted(bounds.mostWorkers)}, because of the available connections`;
    return only(settled(bounds.mostWorkers, window.at, why));
  }
  return search.trial === undefined
    ? only(wait(search, window, bounds))
    : judge(search, search.trial, window);
}

function only(search: WorkerSearch): SearchStep {
  return { search, verdict: undefined };
}

/**
 * Without a trial: begins one under a lasting backlog, and removes a worker that was idle for long.
 */
function wait(before: WorkerSearch, window: TuningWindow, bounds: TuningBounds): WorkerSearch {
  const { at, flushes, isAllBusy, waitingBatches, trouble } = window;
  const peakBusy = Math.max(before.peakBusy, window.peakBusy);
  const search = { ...before, peakBusy, hindrance: undefined };
  if (at - search.peakSince >= IDLE_MS) return afterPeak(search, at, bounds);
  const isBound = isAllBusy && waitingBatches >= BACKLOG;
  if (!isBound) return { ...search, boundSince: undefined, boundFlushes: 0 };
  if (trouble !== undefined) {
    const hindrance = `nothing is tried: ${trouble}`;
    return { ...search, boundSince: undefined, boundFlushes: 0, hindrance };
  }
  const boundSince = search.boundSince ?? at;
  const boundFlushes = search.boundSince === undefined ? 0 : search.boundFlushes + flushes.length;
  const bound = { ...search, boundSince, boundFlushes };
  if (at - boundSince < TURN_MS || boundFlushes < TURN_FLUSHES) return bound;
  if (search.workers >= bounds.mostWorkers) {
    const hindrance = `${counted(search.workers)} are the most, because of the available connections`;
    return { ...bound, hindrance };
  }
  if (at < search.notBefore) return bound;
  const why = `trying ${counted(search.workers + 1)}`;
  return { ...bound, trial: beginTrial(search.workers, at), why };
}

function afterPeak(search: WorkerSearch, at: number, bounds: TuningBounds): WorkerSearch {
  const { workers, peakBusy } = search;
  if (peakBusy >= workers || workers <= bounds.firstWorkers) {
    return { ...search, peakSince: at, peakBusy: 0 };
  }
  const minutes = IDLE_MS / 60_000;
  const why = `no more than ${peakBusy} of ${counted(workers)} were busy for ${minutes} min`;
  return settled(workers - 1, at, why);
}

/** During a trial: counts its flushes, and ends it with or without a verdict. */
function judge(before: WorkerSearch, trial: WorkerTrial, window: TuningWindow): SearchStep {
  const { at, flushes, isAllBusy, waitingBatches, trouble } = window;
  const next = goOn(trial, flushes, at);
  if (trouble !== undefined) return interrupted(before, trial, at, trouble);
  const verdict = verdictOf(next);
  if (verdict !== undefined) return concluded(before, next, verdict, at);
  if (isTooSlow(next, at)) return interrupted(before, trial, at, 'flushes take too long');
  if (!isAllBusy || waitingBatches < LEAST_BACKLOG) {
    const ratio = ratioOfCutTurn(next);
    if (ratio !== undefined) return concluded(before, next, { ratio, isKept: true }, at);
    return interrupted(before, trial, at, 'the backlog is gone');
  }
  return only({ ...before, trial: next, workers: workersOf(next) });
}

function concluded(
  search: WorkerSearch,
  { base }: WorkerTrial,
  { ratio, isKept }: { ratio: number; isKept: boolean },
  at: number,
): SearchStep {
  const workers = isKept ? base + 1 : base;
  const brought = `${counted(base + 1)} wrote ${ratio.toFixed(2)} x as much as ${base}`;
  const verdict = { workers: base + 1, ratio, isKept };
  if (isKept) return { search: settled(workers, at, brought), verdict };
  const { pauseMs } = search;
  const why = `${brought}, tried again after ${Math.round(pauseMs / 60_000)} min`;
  const after = settled(workers, at, why);
  const longer = Math.min(LONGEST_PAUSE_MS, pauseMs * 2);
  return { search: { ...after, notBefore: at + pauseMs, pauseMs: longer }, verdict };
}

function interrupted(
  search: WorkerSearch,
  { base }: WorkerTrial,
  at: number,
  reason: string,
): SearchStep {
  const why = `the trial of ${counted(base + 1)} was interrupted: ${reason}`;
  const { pauseMs } = search;
  return only({ ...settled(base, at, why), notBefore: at + INTERRUPTED_PAUSE_MS, pauseMs });
}

/** Sets the number of workers from now on. */
function settled(workers: number, at: number, why: string): WorkerSearch {
  return { ...beginSearch(workers, at), why };
}

function counted(workers: number): string {
  return workers === 1 ? '1 worker' : `${workers} workers`;
}
