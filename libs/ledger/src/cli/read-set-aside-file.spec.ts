import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { readSetAsideFile, type ReadLine } from './read-set-aside-file.js';

let dir: string;
beforeEach(async () => {
  dir = await mkdtemp(join(tmpdir(), 'ledger-read-'));
});
afterEach(() => rm(dir, { recursive: true, force: true }));

async function read(text: string, name = 'spill.ndjson'): Promise<ReadLine[]> {
  const path = join(dir, name);
  await writeFile(path, text);
  const lines: ReadLine[] = [];
  for await (const line of readSetAsideFile(path)) lines.push(line);
  return lines;
}

const line = (memo: string): string => JSON.stringify({ v: 1, uuid: null, entry: { memo } });

describe('readSetAsideFile', () => {
  it('reads line by line, with any entries', async () => {
    const memos = ['a', 'line\nbreak', '\u2028 and \u2029', '\r', '😀'];
    const lines = await read(memos.map((memo) => `${line(memo)}\n`).join(''));
    expect(lines.map((each) => each.kind === 'line' && each.line.entry['memo'])).toEqual(memos);
  });

  it('distinguishes an incomplete last line from an invalid one', async () => {
    const text = `${line('a')}\n${line('b').slice(0, 20)}`;
    const half = await read(text, 'spill.ndjson.open');
    expect(half.map(({ kind }) => kind)).toEqual(['line', 'half']);
    // The writer of a finished file wrote all of it, so it was truncated later.
    expect((await read(text)).map(({ kind }) => kind)).toEqual(['line', 'unreadable']);
    const broken = await read(`{"v":2}\nnot json\n${line('c')}\nnull\n`);
    const kinds = ['unreadable', 'unreadable', 'line', 'unreadable'];
    expect(broken.map(({ kind }) => kind)).toEqual(kinds);
    expect(broken.map(({ number }) => number)).toEqual([1, 2, 3, 4]);
  });

  it('takes a last line that is whole but for its line break', async () => {
    expect((await read(line('a'))).map(({ kind }) => kind)).toEqual(['line']);
    expect(await read('')).toEqual([]);
  });
});
