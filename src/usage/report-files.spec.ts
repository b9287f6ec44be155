import { mkdtemp, open, rm, type FileHandle } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { text } from 'node:stream/consumers';
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import { ReportFiles } from './report-files.js';

let folder: string;

beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'report-'));
});

afterEach(async () => {
  vi.restoreAllMocks();
  await rm(folder, { recursive: true });
});

async function* linesOf(count: number): AsyncGenerator<string, void, undefined> {
  for (let line = 0; line < count; line++) yield `${line},é${'x'.repeat(90)}\n`;
}

/** As on a disk with few free bytes, a write stores at most half of its text without an error. */
async function cutWrites(): Promise<void> {
  const handle = await open(folder);
  const prototype = Object.getPrototypeOf(handle) as FileHandle;
  await handle.close();
  const { write } = prototype;
  vi.spyOn(prototype, 'write').mockImplementation(function (this: FileHandle, data: unknown) {
    const bytes = Buffer.from(data as string);
    return write.call(this, bytes.subarray(0, bytes.length / 2) as never);
  });
}

describe('ReportFiles', () => {
  it.each(['free', 'nearly full'])('makes a whole report on a disk that is %s', async (disk) => {
    if (disk === 'nearly full') await cutWrites();
    const report = new ReportFiles(folder).start('caller', linesOf(4000));
    try {
      const file = await report.ready;
      const whole = await text(file.createReadStream({ start: 0, autoClose: false }));
      expect(whole.split('\n').length - 1).toBe(4000);
    } finally {
      await report.done();
    }
  });
});
