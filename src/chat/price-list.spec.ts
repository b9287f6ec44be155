import { describe, expect, it } from 'vitest';
import { costNanos } from './price-list.js';

describe('costNanos', () => {
  it('charges tokens read and tokens written apart', () => {
    // 2.50 and 10 dollars for a million tokens.
    expect(costNanos('gpt-4o', 1_000_000, 0)).toBe(2_500_000_000);
    expect(costNanos('gpt-4o', 0, 1_000_000)).toBe(10_000_000_000);
  });

  it('finds the price of a version of a model', () => {
    expect(costNanos('gpt-4o-2024-08-06', 1, 1)).toBe(costNanos('gpt-4o', 1, 1));
    expect(costNanos('gpt-4o-mini-2024-07-18', 1, 1)).toBe(costNanos('gpt-4o-mini', 1, 1));
    expect(costNanos('gpt-4-turbo-preview', 1, 1)).toBe(costNanos('gpt-4-turbo', 1, 1));
    expect(costNanos('gpt-4o-2024-05-13', 1, 1)).toBe(2 * costNanos('gpt-4o', 1, 1)! - 5_000);
  });

  it.each([
    'llama-3',
    'gpt-4.5',
    'o1-mini',
    'o3-pro',
    'gpt-5-preview',
    'gpt-4-32k',
    'toString',
    '',
  ])('knows no price for %j', (model) => {
    expect(costNanos(model, 1, 1)).toBeNull();
  });

  it('is exact for the largest counts that an entry may hold', () => {
    const cost = costNanos('gpt-4', 2_147_483_647, 2_147_483_647);
    expect(cost).toBe(193_273_528_230_000);
    expect(Number.isSafeInteger(cost)).toBe(true);
  });
});
