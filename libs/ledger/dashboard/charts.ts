import { compact, durationText, percent } from './format.js';
import type { ChartSpec } from './live-chart.js';

/** Saturations at which health changes, from the settings. */
export interface SaturationMarks {
  degradedAt: number;
  downAt: number;
}

const inPercent = (share: number): string => `${percent(share)} %`;

/** The charts in the order of the page. @param marks may change later */
export function chartSpecs(marks: SaturationMarks): readonly ChartSpec[] {
  return [ENTRIES, saturationSpec(marks), ...BATCHES, ...WORK];
}

const ENTRIES: ChartSpec = {
  title: 'Entries',
  note: 'per second',
  isWide: true,
  text: compact,
  least: 10,
  lines: [
    { label: 'in', tone: 'in', read: (point) => point.queuedPerSecond },
    { label: 'out', tone: 'out', read: (point) => point.settledPerSecond },
  ],
};

function saturationSpec(marks: SaturationMarks): ChartSpec {
  return {
    title: 'Saturation',
    note: 'of the channel',
    text: inPercent,
    least: 1,
    most: 1,
    marks: () => [
      { at: marks.degradedAt, tone: 'warn' },
      { at: marks.downAt, tone: 'bad' },
    ],
    lines: [{ label: 'now', tone: 'violet', read: (point) => point.saturation }],
  };
}

const BATCHES: readonly ChartSpec[] = [
  {
    title: 'Lag',
    note: 'age of the oldest entry',
    text: durationText,
    least: 100,
    lines: [{ label: 'now', tone: 'violet', read: (point) => point.oldestEntryAgeMs }],
  },
  {
    title: 'Flush time',
    note: 'one batch, last 10 s',
    text: durationText,
    least: 10,
    lines: [
      { label: 'p99', tone: 'warn', isDashed: true, read: (point) => point.flushP99Ms },
      { label: 'p50', tone: 'in', read: (point) => point.flushP50Ms },
    ],
  },
  {
    title: 'Batch fill',
    note: 'of batchSize, last 10 s',
    text: inPercent,
    least: 1,
    most: 1,
    lines: [{ label: 'mean', tone: 'out', read: (point) => point.fill }],
  },
  {
    title: 'Why batches were due',
    note: 'batches per second',
    isStacked: true,
    text: compact,
    least: 1,
    lines: [
      { label: 'full', tone: 'in', read: (point) => point.full },
      { label: 'old', tone: 'out', read: (point) => point.old },
      { label: 'awaited', tone: 'violet', read: (point) => point.awaited },
      { label: 'draining', tone: 'warn', read: (point) => point.draining },
      { label: 'recovered', tone: 'muted', read: (point) => point.recovered },
    ],
  },
];

const WORK: readonly ChartSpec[] = [
  {
    title: 'Workers',
    note: 'mean of 3 s',
    isCount: true,
    text: compact,
    least: 1,
    lines: [
      { label: 'busy', tone: 'in', read: (point) => point.busyWorkers },
      { label: 'all', tone: 'muted', isDashed: true, read: (point) => point.totalWorkers },
    ],
  },
  {
    title: 'Retries and drops',
    note: 'per second',
    text: compact,
    least: 1,
    lines: [
      { label: 'dropped', tone: 'bad', read: (point) => point.droppedPerSecond },
      { label: 'retries', tone: 'warn', isDashed: true, read: (point) => point.retriesPerSecond },
    ],
  },
];
