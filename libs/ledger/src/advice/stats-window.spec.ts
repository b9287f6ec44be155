import { describe, expect, it } from 'vitest';
import { samplesOf } from './fixtures/load.fixture.js';
import { StatsWindow, summarizeWindow, type StatsSample } from './stats-window.js';

const LOAD = {
  offered: 100,
  written: 90,
  flush: { entries: 30, ms: 50 },
  due: 'full',
  workers: 2,
} as const;

function statsAt(index: number): StatsSample['stats'] {
  return samplesOf(LOAD)[index]!.stats;
}

describe('StatsWindow', () => {
  it('keeps the samples of its span, the oldest first', () => {
    const window = new StatsWindow(20_000);
    for (const { at, stats } of samplesOf(LOAD)) window.add(at, stats);
    expect(window.samples.map(({ at }) => at)).toEqual([40_000, 50_000, 60_000]);
  });

  it('starts again with another run, and with a clock that went back', () => {
    const window = new StatsWindow();
    window.add(0, statsAt(0));
    window.add(1000, statsAt(1));
    window.add(2000, { ...statsAt(0), run: 'deadbeef' });
    expect(window.samples).toHaveLength(1);
    window.add(3000, { ...statsAt(1), run: 'deadbeef' });
    window.add(3000, { ...statsAt(2), run: 'deadbeef' });
    expect(window.samples).toHaveLength(1);
  });
});

describe('summarizeWindow', () => {
  it('knows nothing of less than two samples', () => {
    expect(summarizeWindow([])).toBeUndefined();
    expect(summarizeWindow(samplesOf(LOAD).slice(0, 1))).toBeUndefined();
  });

  it('has rates, means and shares between the first sample and the last', () => {
    expect(summarizeWindow(samplesOf(LOAD))).toMatchObject({
      spanMs: 60_000,
      demandPerSecond: 100,
      peakPerSecond: 100,
      settledPerSecond: 90,
      batchCount: 180,
      flushes: 180,
      flushMs: 50,
      entriesPerFlush: 30,
      busyShare: 0.075,
    });
  });

  it('finds the peak in the busiest part, and counts no invalid entry as demand', () => {
    const samples = [0, 100, 5_100, 5_200].map((offered, index) => {
      return { at: index * 1000, stats: { ...statsAt(0), offered } };
    });
    samples.push({ at: 4000, stats: { ...statsAt(0), offered: 65_200, invalid: 60_000 } });
    expect(summarizeWindow(samples)).toMatchObject({ peakPerSecond: 5000, demandPerSecond: 1300 });
  });

  it('takes parts shorter than a second together', () => {
    const samples = [0, 300, 400, 500, 1000, 1100].map((offered, index) => {
      return { at: index * 500, stats: { ...statsAt(0), offered } };
    });
    expect(summarizeWindow(samples)?.peakPerSecond).toBe(600);
  });

  it('goes by the workers seen busy where no flush ended in the window', () => {
    const busy = { ...statsAt(0), workers: { total: 4, busy: 3 } };
    const idle = { ...statsAt(0), workers: { total: 4, busy: 1 } };
    const samples = [busy, idle].map((stats, index) => ({ at: index * 10_000, stats }));
    expect(summarizeWindow(samples)).toMatchObject({ busyShare: 0.5, busyWorkers: 3 });
  });
});
