import { loadavg } from 'node:os';

/** Key of a measurement, without its value. */
export interface FigureKey {
  /** Heading within the part; figures of one group share a table and a plot. */
  readonly group: string;
  readonly contender: string;
  /** Batch size, callers, rows in the table …; the plot's horizontal axis. */
  readonly setting: string | number;
  readonly metric: string;
  readonly unit: string;
}

/** One row of a table: all rounds of one measurement. */
export interface Figure extends FigureKey {
  /** One value a round, in order. */
  readonly values: number[];
}

/** The results of one part of the benchmark. */
export interface PartResult {
  readonly part: string;
  readonly title: string;
  readonly seconds: number;
  /** One-minute load average of the machine before the part, and after it. */
  readonly load: readonly [before: number, after: number];
  readonly figures: readonly Figure[];
  readonly notes: readonly string[];
}

/** Collects values by measurement, round after round. */
export class Figures {
  readonly notes: string[] = [];
  readonly #figures = new Map<string, Figure>();

  add(key: FigureKey, value: number): void {
    const id = [key.group, key.contender, key.setting, key.metric].join('\n');
    const figure = this.#figures.get(id);
    if (figure === undefined) this.#figures.set(id, { ...key, values: [value] });
    else figure.values.push(value);
  }

  all(): Figure[] {
    return [...this.#figures.values()];
  }
}

/** The middle value; of an even number of values the higher of the two middle ones. */
export function median(values: readonly number[]): number {
  return percentile(values, 0.5);
}

/** @param share 0 to 1 @returns NaN if there are no values */
export function percentile(values: readonly number[], share: number): number {
  const sorted = [...values].sort((a, b) => a - b);
  return sorted[Math.min(sorted.length - 1, Math.floor(sorted.length * share))] ?? Number.NaN;
}

/** One-minute load average: 2 means two busy cores. */
export function load(): number {
  return Math.round(loadavg()[0]! * 100) / 100;
}

/**
 * Runs contenders alternately, A B A B …, after one uncounted turn each; a single round, which is
 * not a measurement, omits that turn.
 */
export async function takeTurns(
  rounds: number,
  turns: readonly ((isCounted: boolean) => Promise<void>)[],
): Promise<void> {
  if (rounds > 1) for (const turn of turns) await turn(false);
  for (let round = 0; round < rounds; round++) for (const turn of turns) await turn(true);
}
