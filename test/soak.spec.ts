import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { SoakProgress } from '../scripts/soak-progress.js';

const WANTED = { turn: 25, power: 20 };

let folder: string;
let path: string;
beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'ledger-soak-'));
  path = join(folder, 'soak', 'journal.json');
});
afterEach(() => rm(folder, { recursive: true, force: true }));

describe('the progress of a soak', () => {
  it('goes on with the draw in which it was killed, by the same seed', () => {
    const killed = new SoakProgress(path, WANTED);
    killed.begin(WANTED, 10);
    killed.end(false, { done: 10, entries: 500, lost: 0 });
    const draw = killed.begin(WANTED, 10);
    const next = new SoakProgress(path, WANTED);
    expect(next.begin(WANTED, 10)).toEqual(draw);
    expect(next.modes).toMatchObject({ turn: { done: 10, draws: 1, entries: 500, lost: 0 } });
  });

  it('draws each mode as often as is wanted, the one with most left first', () => {
    const progress = new SoakProgress(path, WANTED);
    const drawn: (readonly [string, number])[] = [];
    for (let draw; (draw = progress.begin(WANTED, 10)) !== undefined;) {
      drawn.push([draw.mode, draw.size]);
      progress.end(false, { done: draw.size });
    }
    expect(drawn).toEqual([
      ['turn', 10],
      ['power', 10],
      ['turn', 10],
      ['power', 10],
      ['turn', 5],
    ]);
    expect(progress.left(WANTED)).toBe(0);
  });

  it('keeps failures with their seeds, and counts what they drew as done', () => {
    const progress = new SoakProgress(path, { turn: 20 });
    const failed = progress.begin({ turn: 20 }, 10);
    progress.end(true);
    progress.begin({ turn: 20 }, 10);
    progress.end(false, { done: 10 });
    const next = new SoakProgress(path, { turn: 20 });
    expect(next.failures).toEqual([failed]);
    expect(next.begin({ turn: 20 }, 10)).toBeUndefined();
  });

  it('begins again once all is done and nothing has failed', () => {
    const progress = new SoakProgress(path, { turn: 5 });
    progress.begin({ turn: 5 }, 10);
    progress.end(false, { done: 5 });
    expect(new SoakProgress(path, { turn: 5 }).begin({ turn: 5 }, 10)).toMatchObject({ size: 5 });
  });
});
