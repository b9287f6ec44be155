import { grouped } from '../config/setting-values.js';
import {
  BURST_SECONDS,
  HALF_BUSY,
  KEEPS_UP_SHARE,
  MIN_BATCHES,
  SHORT_OF_TIME,
} from './advice-thresholds.js';
import type { Evidence, Finding } from './finding.interface.js';
import { roundUp } from './figures.js';
import { burstOf, knob, raise, relieveChannel, writeFaster } from './remedy.js';
import type { Situation } from './situation.js';

/** Drops: the guide's "increase buffer_size or num_workers", once it is clear which. @internal */
export function entriesDropped(situation: Situation): Finding | undefined {
  const { dropped, spanMs } = situation.window;
  if (dropped === 0) return undefined;
  return {
    rule: 'entries-dropped',
    severity: 'warning',
    summary: `${grouped(dropped)} entries were dropped in ${secondsOf(spanMs)} s`,
    evidence: [{ name: 'dropped', value: dropped, unit: 'entries' }, ...ratesOf(situation)],
    ...relieveChannel(situation),
  };
}

/** High p99 though writes are asynchronous: callers wait for room. @internal */
export function callersWaiting(situation: Situation): Finding | undefined {
  const { waiting, dropped } = situation.window;
  if (waiting === 0 || dropped > 0) return undefined;
  return {
    rule: 'callers-waiting',
    severity: 'warning',
    summary: `${grouped(waiting)} callers waited for room at once`,
    evidence: [{ name: 'waiting callers', value: waiting, unit: '' }, ...ratesOf(situation)],
    ...relieveChannel(situation),
  };
}

/**
 * The rate is below the target, or, without one, below what comes in: the channel will be full.
 * Only workers without time show what the ledger can take; idle ones wait for entries.
 *
 * @internal
 */
export function rateBelowDemand(situation: Situation): Finding | undefined {
  const { window, settings, demandPerSecond, environment } = situation;
  const { dropped, waiting, busyShare, flushes, last } = window;
  if (dropped > 0 || waiting > 0 || situation.isOutage || flushes < MIN_BATCHES) return undefined;
  const rate = capacityOf(situation);
  const backlog = last.depth - settings.batchSize * settings.numWorkers;
  const isGrowing =
    backlog > 0 &&
    busyShare >= SHORT_OF_TIME &&
    window.settledPerSecond - window.recoveredPerSecond < window.demandPerSecond * KEEPS_UP_SHARE;
  const isBelowTarget = environment.targetRate !== undefined && rate < environment.targetRate;
  if (!isGrowing && !(isBelowTarget && busyShare >= HALF_BUSY)) return undefined;
  const remedy = isGrowing ? relieveChannel(situation) : writeFaster(situation);
  return {
    rule: 'rate-below-demand',
    severity: 'warning',
    summary:
      `${settings.numWorkers} workers can write ${grouped(Math.round(rate))} entries/s ` +
      `of ${grouped(Math.round(demandPerSecond))}`,
    evidence: [
      { name: 'capacity', value: Math.round(rate), unit: 'entries/s' },
      ...ratesOf(situation),
    ],
    ...remedy,
  };
}

/** `buffer_size >= peak_qps x burst_duration_seconds`. @internal */
export function bufferBelowBurst(situation: Situation): Finding | undefined {
  const { settings, peakPerSecond, environment, isAuto } = situation;
  const { bufferSize } = settings;
  const needed = burstOf(situation);
  if (situation.isOnDisk || isAuto.has('bufferSize') || needed <= bufferSize) return undefined;
  const peak = Math.round(peakPerSecond);
  const seconds = environment.burstSeconds ?? BURST_SECONDS;
  return {
    rule: 'buffer-below-burst',
    severity: 'notice',
    summary:
      `the channel holds ${secondsOf((bufferSize / peakPerSecond) * 1000)} s ` +
      `of the peak of ${grouped(peak)} entries/s`,
    evidence: [
      { name: 'peak', value: peak, unit: 'entries/s' },
      { name: 'burst', value: seconds, unit: 's' },
      { name: 'bufferSize', value: bufferSize, unit: 'entries' },
    ],
    ...raise('buffer', knob('bufferSize', bufferSize, roundUp(needed))),
  };
}

/** Entries a second that all workers would write if they were never idle. */
function capacityOf({ workerPerSecond, settings }: Situation): number {
  return workerPerSecond * settings.numWorkers;
}

function ratesOf({ window, demandPerSecond }: Situation): Evidence[] {
  const recovered = Math.round(window.recoveredPerSecond);
  const ofEarlierRuns = { name: 'of earlier runs', value: recovered, unit: 'entries/s' };
  return [
    { name: 'offered', value: Math.round(demandPerSecond), unit: 'entries/s' },
    { name: 'settled', value: Math.round(window.settledPerSecond), unit: 'entries/s' },
    ...(recovered === 0 ? [] : [ofEarlierRuns]),
    { name: 'workers busy', value: Math.round(window.busyShare * 100), unit: '%' },
    { name: 'saturation', value: Math.round(window.saturation * 100), unit: '%' },
  ];
}

/** Seconds with one digit behind the point below ten. */
function secondsOf(ms: number): string {
  const seconds = ms / 1000;
  return seconds < 10 ? seconds.toFixed(1) : String(Math.round(seconds));
}
