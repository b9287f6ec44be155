import { afterEach, describe, expect, it, vi } from 'vitest';
import { inTurns } from './in-turns.js';

/** Each takes a millisecond of the process's time. */
function* dearItems(count: number, clock: { now: number }): Generator<number> {
  for (let i = 0; i < count; i += 1) {
    clock.now += 1;
    yield i;
  }
}

afterEach(() => {
  vi.restoreAllMocks();
});

describe('inTurns', () => {
  it('passes all items on, in order', async () => {
    const items: number[] = [];
    for await (const item of inTurns([1, 2, 3])) items.push(item);
    expect(items).toEqual([1, 2, 3]);
  });

  it('takes no more than a few milliseconds of a turn, however many go through items', async () => {
    const clock = { now: 1e9 };
    vi.spyOn(performance, 'now').mockImplementation(() => clock.now);
    const turns: number[] = [];
    let last = clock.now;
    const endTurn = (): void => {
      turns.push(clock.now - last);
      last = clock.now;
      timer = setImmediate(endTurn);
    };
    let timer = setImmediate(endTurn);
    const counts = Array.from({ length: 20 }, async () => {
      const items: number[] = [];
      for await (const item of inTurns(dearItems(50, clock))) items.push(item);
      return items.length;
    });
    expect(await Promise.all(counts)).toEqual(Array.from({ length: 20 }, () => 50));
    clearImmediate(timer);
    // The item that ends a turn is the third.
    expect(Math.max(...turns)).toBe(3);
    expect(turns.length).toBeGreaterThan(1000 / 4);
  });
});
