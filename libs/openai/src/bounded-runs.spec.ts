import { describe, expect, it } from 'vitest';
import { boundedRuns } from './bounded-runs.js';

describe('boundedRuns', () => {
  it.each([
    'The quick brown fox. '.repeat(1000),
    '日本語の文章です。'.repeat(1000),
    'x'.repeat(127),
    '',
  ])('leaves a text whole that has words', (text) => {
    expect([...boundedRuns(text)]).toEqual(text === '' ? [] : [text]);
  });

  it.each(['a', ' ', '\n', '!', '…', '漢', '😀', 'é'])(
    'cuts a run of %j, and loses nothing',
    (one) => {
      const text = one.repeat(10_000);
      const parts = [...boundedRuns(text)];
      expect(parts.join('')).toBe(text);
      expect(Math.max(...parts.map((part) => part.length))).toBeLessThanOrEqual(129);
      expect(parts.every((part) => part.isWellFormed())).toBe(true);
    },
  );
});
