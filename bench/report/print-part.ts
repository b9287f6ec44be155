import { median, type Figure, type PartResult } from '../setup/figures.js';

/** Meaningful digits: three significant ones, with separated thousands. */
export function formatNumber(value: number): string {
  if (!Number.isFinite(value)) return '–';
  const digits = Math.abs(value) >= 100 ? 0 : Math.abs(value) >= 10 ? 1 : 2;
  return value.toLocaleString('en-US', {
    minimumFractionDigits: digits,
    maximumFractionDigits: digits,
  });
}

/** Median and range of a figure, in the form of the tables. */
export function formatFigure({ values }: Figure): string {
  const middle = formatNumber(median(values));
  if (values.length < 2) return middle;
  return `${middle} (${formatNumber(Math.min(...values))}–${formatNumber(Math.max(...values))})`;
}

/** Tables of a part: one for each group, settings and contenders down, metrics across. */
export function tablesOf(figures: readonly Figure[]): {
  group: string;
  head: string[];
  rows: string[][];
}[] {
  const groups = [...new Set(figures.map(({ group }) => group))];
  return groups.map((group) => {
    const own = figures.filter((figure) => figure.group === group);
    const metrics = [...new Set(own.map(({ metric, unit }) => `${metric}, ${unit}`))];
    const rows = new Map<string, string[]>();
    for (const figure of own) {
      const key = `${figure.setting}\n${figure.contender}`;
      const row = rows.get(key) ?? [String(figure.setting), figure.contender];
      row[2 + metrics.indexOf(`${figure.metric}, ${figure.unit}`)] = formatFigure(figure);
      rows.set(key, row);
    }
    const head = ['setting', 'contender', ...metrics];
    const filled = [...rows.values()].map((row) => head.map((_, i) => row[i] ?? ''));
    return { group, head, rows: filled };
  });
}

/** Prints a part's tables. */
export function printPart({ title, seconds, load, figures, notes }: PartResult): void {
  console.log(`\n## ${title}  (${seconds} s, load ${load.join(' to ')})`);
  for (const { group, head, rows } of tablesOf(figures)) {
    console.log(`\n${group}`);
    const widths = head.map((name, i) => Math.max(name.length, ...rows.map((r) => r[i]!.length)));
    for (const row of [head, ...rows]) {
      console.log(
        row
          .map((cell, i) => cell.padEnd(widths[i]!))
          .join('  ')
          .trimEnd(),
      );
    }
  }
  for (const note of notes) console.log(`note: ${note}`);
}
