import { appendFile, mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, it } from 'vitest';
import { lookIntoFolder } from './scan-folders.js';

const NAME = '000000ab';

let dir: string;
beforeEach(async () => {
  dir = await mkdtemp(join(tmpdir(), 'ledger-scan-folders-'));
});
afterEach(() => rm(dir, { recursive: true }));

it.each([
  ['000001.wal', '000002.wal'],
  ['999999.wal', '1000000.wal'],
])('sees that the last file grows: %s, %s', async (older, last) => {
  const path = join(dir, NAME);
  await mkdir(path);
  await writeFile(join(path, older), 'rows');
  await writeFile(join(path, last), 'rows');
  const before = await lookIntoFolder(dir, NAME);
  await appendFile(join(path, last), 'more');
  const after = await lookIntoFolder(dir, NAME, before);
  expect(after!.files.map(({ name, bytes }) => [name, bytes])).toEqual([
    [older, 4],
    [last, 8],
  ]);
  expect(after!.print).not.toBe(before!.print);
});
