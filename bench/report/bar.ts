import { median, type Figure } from '../setup/figures.js';
import { formatNumber } from './print-part.js';

/** One line of the table of requirements. */
export interface Bar {
  readonly name: string;
  readonly bound: string;
  readonly reached: string;
  readonly isMet: boolean;
}

export type Known = Figure & { readonly part: string };

/** Medians by measurement. */
export class Medians {
  constructor(private readonly figures: readonly Known[]) {}

  /** @returns undefined if it was not measured */
  get(part: string, wanted: Partial<Omit<Figure, 'values'>>): number | undefined {
    const found = this.all(part, wanted)[0];
    return found && median(found.values);
  }

  all(part: string, wanted: Partial<Omit<Figure, 'values'>>): Known[] {
    return this.figures.filter(
      (figure) =>
        figure.part === part &&
        Object.entries(wanted).every(([key, value]) => figure[key as keyof Figure] === value),
    );
  }

  /** Lowest ratio of two contenders over all groups and settings of a metric. */
  lowest(part: string, [over, under]: [string, string], isWanted: (f: Known) => boolean) {
    let lowest: { ratio: number; where: string } | undefined;
    for (const figure of this.all(part, { contender: over, metric: 'rows' }).filter(isWanted)) {
      const { group, setting, metric } = figure;
      const base = this.get(part, { contender: under, group, setting, metric });
      if (base === undefined) continue;
      const ratio = median(figure.values) / base;
      if (lowest === undefined || ratio < lowest.ratio) {
        lowest = { ratio, where: `${group}, ${setting}` };
      }
    }
    return lowest;
  }
}

/** Returns the bars of some parts; undefined if they were not measured. */
export type Rule = (medians: Medians) => (Bar | undefined)[];

export function atLeast(name: string, bound: number, over?: number, under = 1): Bar | undefined {
  if (over === undefined || Number.isNaN(over / under)) return undefined;
  const ratio = over / under;
  return { name, bound: `>= ${bound} x`, reached: `${ratio.toFixed(2)} x`, isMet: ratio >= bound };
}

export function atMost(
  name: string,
  [bound, unit]: [number, string],
  value?: number,
): Bar | undefined {
  if (value === undefined || Number.isNaN(value)) return undefined;
  const reached = `${formatNumber(value)} ${unit}`;
  return { name, bound: `<= ${formatNumber(bound)} ${unit}`, reached, isMet: value <= bound };
}
