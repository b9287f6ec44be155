import * as fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { SettledMark } from './settled-mark.js';

describe('SettledMark', () => {
  it('is the lowest unsettled position for any order of the ranges', () => {
    const lengths = fc.array(fc.integer({ min: 1, max: 5 }), { minLength: 1, maxLength: 40 });
    const drawn = lengths.chain((counts) => {
      let start = 0;
      const ranges = counts.map((count) => {
        const range = { start, count };
        start += count;
        return range;
      });
      return fc.shuffledSubarray(ranges, { minLength: ranges.length, maxLength: ranges.length });
    });
    fc.assert(
      fc.property(drawn, (ranges) => {
        const mark = new SettledMark();
        const settled = new Set<number>();
        for (const { start, count } of ranges) {
          mark.settle(start, count);
          for (let i = 0; i < count; i++) settled.add(start + i);
          let expected = 0;
          while (settled.has(expected)) expected++;
          expect(mark.position).toBe(expected);
        }
      }),
    );
  });
});
