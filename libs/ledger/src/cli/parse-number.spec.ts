import { InvalidArgumentError } from 'commander';
import { describe, expect, it } from 'vitest';
import { parseCount } from './parse-number.js';

describe('parseCount', () => {
  it.each([
    ['1', 1],
    ['10000', 10_000],
    ['10_000', 10_000],
    [' 7 ', 7],
  ])('takes %j', (text, count) => {
    expect(parseCount(text)).toBe(count);
  });

  it.each(['', '0', '-1', '1.5', '4.0', '1e3', '0x10', '_1', '1_', '10_001', 'two'])(
    'refuses %j',
    (text) => {
      expect(() => parseCount(text)).toThrow(InvalidArgumentError);
    },
  );
});
