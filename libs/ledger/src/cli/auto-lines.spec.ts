import { describe, expect, it } from 'vitest';
import { autoLines } from './auto-lines.js';

describe('what advise says of auto', () => {
  it('is nothing where all figures were given', () => {
    expect(autoLines(null)).toEqual([]);
  });

  it('has the figures, why they are so, and each trial with its verdict', () => {
    const lines = autoLines({
      batch: 10_000,
      delayMs: 27,
      workers: 3,
      why: '4 workers wrote 1.02 x as much as 3, tried again after 5 min; the delay is the shortest',
      since: 0,
      tried: [
        { workers: 3, ratio: 1.314, isKept: true, at: 60_000 },
        { workers: 4, ratio: 1.02, isKept: false, at: 120_000 },
      ],
    });
    expect(lines).toEqual([
      'auto    batch 10,000, delay 27 ms, 3 workers, since 1970-01-01T00:00:00.000Z',
      '          -> 4 workers wrote 1.02 x as much as 3, tried again after 5 min; the delay is the shortest',
      '          tried 3 workers: 1.31 x, kept (1970-01-01T00:01:00.000Z)',
      '          tried 4 workers: 1.02 x, not kept (1970-01-01T00:02:00.000Z)',
    ]);
  });
});
