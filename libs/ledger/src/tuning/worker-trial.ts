import type { SeenFlush } from './tuning.interface.js';

/** Minimum milliseconds and flushes of a turn: they reduce 20 % of noise to 5 %. */
export const TURN_MS = 2_000;
export const TURN_FLUSHES = 20;
/**
 * A longer turn, in milliseconds, would compare two periods of the server and not two numbers of
 * workers.
 */
const LONGEST_TURN_MS = 60_000;
/** Minimum flushes for a conclusion from a shortened turn. */
const LEAST_FLUSHES = 8;
/** A B A B A B: one checkpoint does not move the median of three ratios. */
const PAIRS = 3;
/**
 * One more worker is kept from this ratio on. Below it, the worker costs a connection for a gain
 * within the noise.
 */
const WORTHWHILE = 1.08;

/** Figures of the flushes that began in one turn. */
interface Turn {
  readonly startedAt: number;
  /** Counted flushes; the first only starts the clock. */
  readonly flushes: number;
  readonly entries: number;
  readonly firstAt: number;
  readonly lastAt: number;
}

/**
 * A trial of one more worker in alternating turns: without, with, without, with, without, with.
 * Immutable.
 *
 * @internal
 */
export interface WorkerTrial {
  /** Workers without the tried one. */
  readonly base: number;
  /** Entries a second of each finished turn. */
  readonly rates: readonly number[];
  readonly turn: Turn;
}

/** @internal */
export function beginTrial(base: number, at: number): WorkerTrial {
  return { base, rates: [], turn: newTurn(at) };
}

function newTurn(startedAt: number): Turn {
  return { startedAt, flushes: 0, entries: 0, firstAt: startedAt, lastAt: startedAt };
}

/** Workers of the present turn. @internal */
export function workersOf({ base, rates }: WorkerTrial): number {
  return rates.length % 2 === 0 ? base : base + 1;
}

/** Counts flushes, and changes turns when one is over. @internal */
export function goOn(trial: WorkerTrial, flushes: readonly SeenFlush[], at: number): WorkerTrial {
  const turn = flushes.reduce(count, trial.turn);
  if (at - turn.startedAt < TURN_MS || turn.flushes < TURN_FLUSHES) return { ...trial, turn };
  return { ...trial, rates: [...trial.rates, rateOf(turn)], turn: newTurn(at) };
}

/** A flush that began before the turn ran with another number of workers. */
function count(turn: Turn, { at, ms, entries }: SeenFlush): Turn {
  if (at - ms < turn.startedAt) return turn;
  if (turn.flushes === 0) return { ...turn, flushes: 1, firstAt: at, lastAt: at };
  const flushes = turn.flushes + 1;
  return { ...turn, flushes, entries: turn.entries + entries, lastAt: at };
}

function rateOf({ entries, firstAt, lastAt }: Turn): number {
  return (entries * 1000) / Math.max(1, lastAt - firstAt);
}

/** @internal */
export function isTooSlow({ turn }: WorkerTrial, at: number): boolean {
  return at - turn.startedAt > LONGEST_TURN_MS;
}

/**
 * The median of the ratios with the worker to without it.
 *
 * @returns undefined while further turns could change whether it is worthwhile
 * @internal
 */
export function verdictOf({ rates }: WorkerTrial): { ratio: number; isKept: boolean } | undefined {
  const ratios: number[] = [];
  for (let i = 1; i < rates.length; i += 2) ratios.push(rates[i]! / rates[i - 1]!);
  const kept = ratios.filter((ratio) => ratio >= WORTHWHILE).length;
  const isKept = kept > PAIRS / 2;
  if (!isKept && ratios.length - kept <= PAIRS / 2) return undefined;
  const sorted = [...ratios].sort((a, b) => a - b);
  // Of two ratios that agree, the one nearer to no gain: the third can't move the median past it.
  const ratio = ratios.length < PAIRS ? (isKept ? sorted[0]! : sorted.at(-1)!) : sorted[1]!;
  return { ratio, isKept };
}

/**
 * The ratio of a turn with the worker that ended early because no batch waited.
 *
 * @returns undefined if the worker is not shown to be worthwhile
 * @internal
 */
export function ratioOfCutTurn({ rates, turn }: WorkerTrial): number | undefined {
  if (rates.length % 2 === 0 || turn.flushes < LEAST_FLUSHES) return undefined;
  const ratio = rateOf(turn) / rates.at(-1)!;
  return ratio >= WORTHWHILE ? ratio : undefined;
}
