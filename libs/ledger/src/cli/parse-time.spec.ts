import { InvalidArgumentError } from 'commander';
import { afterEach, describe, expect, it, vi } from 'vitest';
import { checkPeriod, parseTime } from './parse-time.js';

afterEach(() => vi.unstubAllEnvs());

describe('parseTime', () => {
  it.each([
    ['2026-01', '2026-01-01T00:00:00.000Z'],
    ['2026-01-31', '2026-01-31T00:00:00.000Z'],
    ['2028-02-29', '2028-02-29T00:00:00.000Z'],
    ['2026-01-31T12:30', '2026-01-31T12:30:00.000Z'],
    ['2026-01-31T12:30:15.250', '2026-01-31T12:30:15.250Z'],
    ['2026-01-31T12:30:15Z', '2026-01-31T12:30:15.000Z'],
    ['2026-01-31T00:30-05:00', '2026-01-31T05:30:00.000Z'],
  ])('takes %s for the same moment in every zone', (text, moment) => {
    for (const zone of ['UTC', 'America/New_York', 'Pacific/Kiritimati']) {
      vi.stubEnv('TZ', zone);
      expect(parseTime(text).toISOString()).toBe(moment);
    }
  });

  it.each([
    ...['', '1', '0', '2026', '2026-13', '2026-00', '2026-1-1', '20260101', '01/02/2026', 'today'],
    ...['2026-02-30', '2026-02-29T10:00', '2026-01-32', '2026-01-31T25:00', '2026-01-31T10'],
    ...['2026-01-31 10:00', '2026-01-31T10:00+2', '2026-01-31Z', '+010000-01-01'],
  ])('refuses %j, with the rule and an example', (text) => {
    expect(() => parseTime(text)).toThrow(InvalidArgumentError);
    expect(() => parseTime(text)).toThrow(/ISO 8601, in UTC unless it names a zone, like 2026-/);
  });
});

describe('checkPeriod', () => {
  it('refuses a period that nothing can be in', () => {
    const [first, last] = [parseTime('2026-01-01'), parseTime('2026-02-01')];
    for (const [from, to] of [
      [first, last],
      [undefined, last],
      [last, undefined],
    ] as const) {
      expect(() => checkPeriod(from, to)).not.toThrow();
    }
    for (const [from, to] of [
      [last, first],
      [first, first],
    ] as const) {
      expect(() => checkPeriod(from, to)).toThrow(
        /^--from \(2026-.*\) must be before --to \(2026-/,
      );
    }
  });
});
