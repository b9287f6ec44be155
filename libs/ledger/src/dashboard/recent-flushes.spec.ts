import { describe, expect, it } from 'vitest';
import { FlushWindow } from './recent-flushes.js';

const DUE = { full: 0, old: 0, awaited: 0, draining: 0, recovered: 0 };

describe('FlushWindow', () => {
  it('has no quantiles and no fill without a flush', () => {
    const recent = new FlushWindow(1000).take(0, 100, DUE);
    expect(recent).toEqual({
      ...{ batches: 0, entries: 0, fill: null, p50Ms: null, p99Ms: null },
      due: DUE,
    });
  });

  it('takes quantiles by nearest rank, for any order of arrival', () => {
    const window = new FlushWindow(1000);
    for (let ms = 200; ms >= 1; ms -= 1) window.note(0, { entries: 50, ms });
    expect(window.take(0, 100, DUE)).toMatchObject({
      ...{ batches: 200, entries: 10_000, fill: 0.5, p50Ms: 100, p99Ms: 198 },
    });
  });

  it('forgets what is older than its window', () => {
    const window = new FlushWindow(1000);
    window.note(0, { entries: 1, ms: 900 });
    window.note(1500, { entries: 100, ms: 5 });
    expect(window.take(2000, 100, DUE)).toMatchObject({ batches: 1, p99Ms: 5, fill: 1 });
  });

  it('keeps a bounded number of flushes, the newest', () => {
    const window = new FlushWindow(1000);
    for (let i = 0; i < 100_000; i += 1) window.note(i / 1000, { entries: 1, ms: i });
    const { batches, p50Ms } = window.take(100, 1, DUE);
    expect(batches).toBeLessThan(8192);
    expect(p50Ms).toBeGreaterThan(90_000);
  });
});
