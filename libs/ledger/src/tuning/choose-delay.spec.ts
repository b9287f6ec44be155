import { describe, expect, it } from 'vitest';
import { chooseDelay, fixedPartOf, keepSmallFlushes } from './choose-delay.js';

const flush = (ms: number, entries = 10, at = 0) => ({ at, entries, ms });

describe('the fixed part of a flush', () => {
  it('is the tenth percentile of the small flushes, which excludes waits for a core', () => {
    const times = [30, 31, 32, 33, 34, 35, 36, 37, 38, 500, 600];
    expect(
      fixedPartOf(
        times.map((ms) => flush(ms)),
        1,
      ),
    ).toBe(31);
  });

  it('is the ping and 2 ms until there are eight small flushes, and unknown without a ping', () => {
    const seven = Array.from({ length: 7 }, () => flush(40));
    expect(fixedPartOf(seven, 10)).toBe(12);
    expect(fixedPartOf(seven, undefined)).toBeUndefined();
    expect(fixedPartOf([...seven, flush(40)], 10)).toBe(40);
  });

  it('is that of the last 64 flushes of at most 100 entries and the last ten minutes', () => {
    const many = Array.from({ length: 100 }, (_, i) => flush(i, 100, i));
    const kept = keepSmallFlushes([], [...many, flush(1, 101, 100)], 100);
    expect(kept.map(({ ms }) => ms)).toEqual(Array.from({ length: 64 }, (_, i) => 36 + i));
    expect(keepSmallFlushes(kept, [], 600_000 + 98).map(({ ms }) => ms)).toEqual([98, 99]);
  });
});

describe('the delay', () => {
  it('is nine times the fixed part, 25 to 1,000 ms', () => {
    const delays = [0.5, 2.7, 3, 20, 111, 112, 5_000].map(
      (fixed) => chooseDelay(fixed, 50_000).delayMs,
    );
    expect(delays).toEqual([25, 25, 27, 180, 999, 1_000, 1_000]);
    expect(chooseDelay(undefined, undefined)).toEqual({
      delayMs: 25,
      why: 'the delay is the shortest',
    });
    expect(chooseDelay(20, undefined).why).toBe(
      'the delay is 9 x 20.0 ms, the fixed part of a flush',
    );
  });

  it('is longer at low rates: it doubles with each tenth of the rate, to 100 ms', () => {
    const rates = [1_000_000, 10_000, 1_000, 100, 1, 0];
    const delays = rates.map((rate) => chooseDelay(1, rate).delayMs);
    expect(delays).toEqual([25, 25, 50, 100, 100, 100]);
    expect(chooseDelay(1, 1_000).why).toBe('the delay saves CPU while 1,000 entries/s arrive');
    expect(chooseDelay(20, 1_000).delayMs).toBe(180);
  });
});
