import { describe, expect, it } from 'vitest';
import { newEntryUuid } from '../codec/uuid.js';
import { retentionCutoff, wantedPeriods } from './partition-plan.js';
import { periodAt, periodsBetween, timeOfBound, uuidBound } from './period.js';

const LEAP = Date.UTC(2028, 1, 29, 23, 59, 59, 999);

describe('periods', () => {
  it('are whole days and months of UTC, even at the end of February and of a year', () => {
    expect(periodAt('month', LEAP)).toEqual({
      from: Date.UTC(2028, 1, 1),
      to: Date.UTC(2028, 2, 1),
      label: '202802',
    });
    expect(periodAt('day', LEAP)).toMatchObject({ to: LEAP + 1, label: '20280229' });
    expect(periodAt('month', Date.UTC(2027, 0, 31), -1).label).toBe('202612');
    expect(periodAt('month', Date.UTC(2027, 0, 31), 1).label).toBe('202702');
    expect(periodsBetween('month', LEAP, Date.UTC(2028, 3, 1)).map(({ label }) => label)).toEqual([
      '202802',
      '202803',
    ]);
  });

  it('are wanted from the one before to some ahead, and kept back to a cutoff', () => {
    expect(wantedPeriods('month', LEAP).map(({ label }) => label)).toEqual([
      '202801',
      '202802',
      '202803',
      '202804',
    ]);
    expect(wantedPeriods('day', LEAP)).toHaveLength(9);
    expect(retentionCutoff('month', LEAP, 13)).toBe(Date.UTC(2027, 0, 1));
  });
});

describe('uuidBound', () => {
  it('separates the uuids of one millisecond from those of the next', () => {
    const bound = uuidBound(LEAP);
    expect(timeOfBound(bound)).toBe(LEAP);
    expect(newEntryUuid(new Date(LEAP)) > bound).toBe(true);
    expect(newEntryUuid(new Date(LEAP - 1)) < bound).toBe(true);
    expect(timeOfBound(newEntryUuid())).toBeUndefined();
  });
});
