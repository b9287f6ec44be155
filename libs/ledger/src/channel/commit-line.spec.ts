import { setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';
import { describe, expect, it } from 'vitest';
import { CommitLine } from './commit-line.js';

const ignore = (): void => undefined;

function collectGarbage(): void {
  setFlagsFromString('--expose-gc');
  (runInNewContext('gc') as () => void)();
}

describe('CommitLine', () => {
  it('returns entries before a position, in order, each once', () => {
    const line = new CommitLine();
    for (const position of [1, 2, 5, 9]) line.join({ position, settle: ignore });
    const taken = [1, 3, 6, 10, 10].map((end) => line.take(end).map(({ position }) => position));
    expect(taken).toEqual([[], [1, 2], [5], [9], []]);
    expect(line.hasWaiting).toBe(false);
  });

  it('returns watchers once their entry is settled, in any order of arrival', () => {
    const line = new CommitLine();
    const watch = (position: number): (() => void) => line.watch({ position, settle: ignore });
    const [leave] = [7, 2, 9, 4, 5].map(watch);
    leave!();
    leave!();
    const taken = [4, 5, 7, 9].map((settled) => {
      return line.takeWatchers((at) => at <= settled).map(({ position }) => position);
    });
    expect(taken).toEqual([[2, 4], [5], [], [9]]);
  });

  it('releases returned entries, even if one always waits', async () => {
    const line = new CommitLine();
    const given: WeakRef<object>[] = [];
    for (let position = 0; position < 1000; position++) {
      const entry = { position, settle: ignore };
      given.push(new WeakRef(entry));
      line.join(entry);
      if (position % 10 === 9) line.take(position);
    }
    expect(line.hasWaiting).toBe(true);
    // A WeakRef keeps its object until the end of the turn that made it.
    await new Promise((resolve) => setImmediate(resolve));
    collectGarbage();
    const alive = given.filter((each) => each.deref() !== undefined);
    expect(alive.length).toBeLessThan(50);
  });
});
