import type { BatchCounts } from '../ports/ledger-stats.interface.js';
import type { Finding } from '../advice/finding.interface.js';
import { forecastChannel } from '../health/forecast-channel.js';
import type { LedgerStats } from '../ports/ledger-stats.interface.js';
import type { FlushListener } from '../writer/batch-writer.js';
import { packPoint } from './dashboard-frame.interface.js';
import type { DashboardFrame, DashboardNow } from './dashboard-frame.interface.js';
import { FlushWindow } from './recent-flushes.js';

/** The health of a ledger at one time. @internal */
export type HealthAnswer = Pick<DashboardNow, 'health' | 'healthReason' | 'database'>;

/** One look at a ledger. @internal */
export interface Look {
  readonly stats: LedgerStats;
  readonly health: HealthAnswer;
  readonly advice: readonly Finding[];
  /** Milliseconds since 1970. */
  readonly at: number;
  /** Monotonic milliseconds. */
  readonly elapsed: number;
}

/**
 * Milliseconds over which rates are averaged. With a look each second and a batch each `flushMs` (1
 * s by default), a shorter span would alternately show none or two batches.
 */
const RATE_SPAN_MS = 3000;
/** Milliseconds of the span for fill, quantiles and forecasts. */
const RECENT_SPAN_MS = 10_000;

const NONE: BatchCounts = { full: 0, old: 0, awaited: 0, draining: 0, recovered: 0 };

/** Makes the frames of one ledger from looks at it, each from the preceding looks. @internal */
export class FrameMaker {
  readonly #flushes = new FlushWindow(RECENT_SPAN_MS);
  #looks: Look[] = [];

  /** @param elapsed monotonic milliseconds */
  noteFlush(elapsed: number, flush: Parameters<FlushListener>[0]): void {
    this.#flushes.note(elapsed, flush);
  }

  /** Forgets earlier looks after a time without viewers. */
  reset(): void {
    this.#looks = [];
  }

  /** @param look later than all before it */
  make(look: Look): DashboardFrame {
    const { stats, at, elapsed } = look;
    const short = this.#before(elapsed - RATE_SPAN_MS);
    const long = this.#before(elapsed - RECENT_SPAN_MS);
    this.#looks.push(look);
    this.#looks = this.#looks.filter((each) => elapsed - each.elapsed <= 2 * RECENT_SPAN_MS);
    const due = long === undefined ? NONE : sinceThen(stats.batches, long.stats.batches);
    const { settings, ...figures } = stats;
    const batchSize = stats.auto?.batch ?? Number(settings['batchSize']?.value ?? 1);
    const recent = this.#flushes.take(elapsed, batchSize, due);
    const now: DashboardNow = {
      ...figures,
      ...look.health,
      ...forecastOf(look, long),
      at,
      recent,
      advice: look.advice,
    };
    const busyWorkers = busyOf(look, short);
    return { now, point: packPoint({ ...ratesOf(look, short), ...levelsOf(now), busyWorkers }) };
  }

  /** The youngest look that is old enough; else the oldest, if there is one. */
  #before(elapsed: number): Look | undefined {
    return this.#looks.findLast((each) => each.elapsed <= elapsed) ?? this.#looks[0];
  }
}

function levelsOf({ at, saturation, oldestEntryAgeMs, recent, workers }: DashboardNow) {
  return {
    at,
    saturation: Math.round(saturation * 10_000) / 10_000,
    oldestEntryAgeMs,
    flushP50Ms: recent.p50Ms,
    flushP99Ms: recent.p99Ms,
    fill: recent.fill === null ? null : Math.round(recent.fill * 1000) / 1000,
    totalWorkers: workers.total,
  };
}

function ratesOf({ stats, elapsed }: Look, before: Look | undefined) {
  const perSecond = (count: (stats: LedgerStats) => number): number | null => {
    if (before === undefined) return null;
    const ms = Math.max(1, elapsed - before.elapsed);
    return Math.round((count(stats) - count(before.stats)) * (10_000 / ms)) / 10;
  };
  return {
    queuedPerSecond: perSecond((each) => each.queued),
    settledPerSecond: perSecond(settledOf),
    droppedPerSecond: perSecond((each) => each.dropped),
    retriesPerSecond: perSecond((each) => each.retries),
    full: perSecond((each) => each.batches.full),
    old: perSecond((each) => each.batches.old),
    awaited: perSecond((each) => each.batches.awaited),
    draining: perSecond((each) => each.batches.draining),
    recovered: perSecond((each) => each.batches.recovered),
  };
}

/**
 * Mean number of writing workers, from the duration of writes; the present number of busy ones if
 * no write ended, for example with a server that doesn't answer.
 */
function busyOf({ stats, elapsed }: Look, before: Look | undefined): number {
  if (before === undefined || stats.flushes.count === before.stats.flushes.count) {
    return stats.workers.busy;
  }
  const share = (stats.flushes.ms - before.stats.flushes.ms) / (elapsed - before.elapsed);
  return Math.min(stats.workers.total, Math.round(share * 100) / 100);
}

function forecastOf({ stats, elapsed }: Look, before: Look | undefined) {
  if (before === undefined) return forecastChannel(stats, null);
  const perMs = 1000 / Math.max(1, elapsed - before.elapsed);
  return forecastChannel(stats, {
    taken: (takenOf(stats) - takenOf(before.stats)) * perMs,
    settled: (settledOf(stats) - settledOf(before.stats)) * perMs,
  });
}

function takenOf({ queued, recovered, received }: LedgerStats): number {
  return queued + recovered + received;
}

function settledOf({ written, published, duplicate, deadLettered, spilled }: LedgerStats): number {
  return written + published + duplicate + deadLettered + spilled;
}

function sinceThen(now: BatchCounts, then: BatchCounts): BatchCounts {
  return {
    full: now.full - then.full,
    old: now.old - then.old,
    awaited: now.awaited - then.awaited,
    draining: now.draining - then.draining,
    recovered: now.recovered - then.recovered,
  };
}
