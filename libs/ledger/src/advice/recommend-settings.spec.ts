import { describe, expect, it } from 'vitest';
import {
  recommendSettings,
  workerLimitFor,
  type MeasuredStep,
  type Recommendation,
  type TuneDemand,
} from './recommend-settings.js';

const MIB = 1_048_576;
const PLAIN = { burstSeconds: 1, instances: 1, cores: 16, measured: [] };
const step = (workers: number, batchSize: number, entriesPerSecond: number, flushMs: number) => ({
  workers,
  batchSize,
  entriesPerSecond,
  flushMs,
});
/** A server whose second connection still helps, and whose fourth does not. */
const MEASURED: readonly MeasuredStep[] = [
  step(1, 100, 40_000, 2.5),
  step(1, 2_000, 90_000, 22),
  step(1, 10_000, 95_000, 105),
  step(2, 100, 70_000, 3),
  step(2, 2_000, 130_000, 31),
  step(4, 2_000, 132_000, 60),
];

type Case = readonly [
  what: string,
  demand: TuneDemand,
  settings: Partial<Recommendation['settings']>,
];

const CASES: readonly Case[] = [
  [
    'a trickle: the first row',
    { ...PLAIN, qps: 50 },
    { batchSize: 50, flushMs: 2000, numWorkers: 1 },
  ],
  [
    'the upper end of a row: that row',
    { ...PLAIN, qps: 1_000 },
    { batchSize: 100, flushMs: 1000, numWorkers: 2, bufferSize: 1_000 },
  ],
  [
    'a rate and a burst: their product',
    { ...PLAIN, qps: 50_000, burstSeconds: 2 },
    {
      batchSize: 2_000,
      flushMs: 200,
      bufferSize: 100_000,
      numWorkers: 10,
      bufferMaxBytes: 256 * MIB,
    },
  ],
  [
    'a short burst: still a full batch for each worker',
    { ...PLAIN, qps: 20_000, burstSeconds: 0.1 },
    { bufferSize: 20_000 },
  ],
  ['few cores: the formula, not the row', { ...PLAIN, qps: 50_000, cores: 4 }, { numWorkers: 4 }],
  [
    'a tenth of the connections, for all instances together',
    { ...PLAIN, qps: 400_000, instances: 4, maxConnections: 200 },
    { numWorkers: 5, bufferSize: 100_000 },
  ],
  [
    'the last row: bytes for a million rows',
    { ...PLAIN, qps: 1_000_000, cores: 64 },
    { batchSize: 10_000, numWorkers: 50, bufferSize: 1_000_000, bufferMaxBytes: 287 * MIB },
  ],
  [
    'a measured server: the fewest workers that reach 1.25 times the rate, and the smallest batch',
    { ...PLAIN, qps: 50_000, measured: MEASURED },
    { numWorkers: 1, batchSize: 2_000 },
  ],
  [
    'a measured server near its limit: more workers',
    { ...PLAIN, qps: 100_000, measured: MEASURED },
    { numWorkers: 2, batchSize: 2_000 },
  ],
  [
    'a measured rate that only long flushes reach: throughput goes first',
    {
      ...PLAIN,
      qps: 75_000,
      measured: MEASURED.slice(0, 3).filter((each) => each.batchSize !== 2_000),
    },
    { numWorkers: 1, batchSize: 10_000 },
  ],
  [
    'measured workers of all instances: shared out',
    { ...PLAIN, qps: 100_000, instances: 2, measured: MEASURED },
    { numWorkers: 1, batchSize: 2_000 },
  ],
];

describe('recommendSettings', () => {
  it.each(CASES)('gives %s', (_what, demand, settings) => {
    const found = recommendSettings(demand);
    expect(found.settings).toMatchObject(settings);
    expect(Object.values(found.reasons).every((reason) => reason.length > 10)).toBe(true);
    expect(found.settings.batchSize).toBeLessThanOrEqual(found.settings.bufferSize);
  });

  it.each([
    ['a rate that is in reach', { ...PLAIN, qps: 50_000 }, []],
    [
      'a rate above the measured',
      { ...PLAIN, qps: 200_000, measured: MEASURED },
      [/took at most 132,000/],
    ],
    ['a rate with nothing to spare', { ...PLAIN, qps: 120_000, measured: MEASURED }, [/to spare/]],
    [
      'two workers for too much',
      { ...PLAIN, qps: 90_000, cores: 2 },
      [/reach some 40,000 of 90,000/],
    ],
    [
      'more than one PostgreSQL',
      { ...PLAIN, qps: 20_000_000, cores: 64, burstSeconds: 60 },
      [/50 workers reach/, /bufferSize would be/, /several databases/],
    ],
  ] as [string, TuneDemand, RegExp[]][])('warns of what %s asks for', (_what, demand, warnings) => {
    const found = recommendSettings(demand).warnings;
    expect(found).toHaveLength(warnings.length);
    for (const [index, pattern] of warnings.entries()) expect(found[index]).toMatch(pattern);
  });

  it('never gives less than one worker', () => {
    expect(workerLimitFor({ ...PLAIN, qps: 1, maxConnections: 20, instances: 9 })).toBe(1);
  });
});
