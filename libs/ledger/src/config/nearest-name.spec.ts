import { describe, expect, it } from 'vitest';
import { nearestName } from './nearest-name.js';

describe('the nearest name', () => {
  it.each([
    ['BATCHSIZE', 'BATCH_SIZE'],
    ['BATCH_SIZES', 'BATCH_SIZE'],
    ['BTACH_SIZE', 'BATCH_SIZE'],
    ['FLUSH', 'FLUSH_MS'],
    ['NUM_WORKERS', 'NUM_WORKERS'],
    ['WORKER', 'NUM_WORKERS'],
    ['', 'ROLE'],
  ])('to %o is %o', (wanted, nearest) => {
    expect(nearestName(wanted, ['BATCH_SIZE', 'FLUSH_MS', 'NUM_WORKERS', 'ROLE'])).toBe(nearest);
  });

  it('is the first of those that are equally near', () => {
    expect(nearestName('c', ['ca', 'cb'])).toBe('ca');
  });
});
