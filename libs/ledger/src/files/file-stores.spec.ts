import { renameSync, writeFileSync } from 'node:fs';
import { mkdtemp, readFile, readdir, rename, rm, stat, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { basename, dirname, join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { PartlyWrittenError } from '../errors/partly-written.error.js';
import type { DeadLetter } from '../ports/dead-letter-store.interface.js';
import type { SpilledEntry } from '../ports/spill-store.interface.js';
import { FileDeadLetterStore } from './file-dead-letter-store.js';
import { FileSpillStore } from './file-spill-store.js';

const AT = Date.UTC(2026, 0, 1);

let dir: string;
beforeEach(async () => {
  dir = await mkdtemp(join(tmpdir(), 'ledger-files-'));
});
afterEach(() => rm(dir, { recursive: true, force: true }));

function spilled(index: number, text = ''): SpilledEntry {
  const uuid = `00000000-0000-7000-8000-${String(index).padStart(12, '0')}`;
  return { uuid, mayExist: index === 1, attempts: 2, queuedAt: AT, entry: { uuid, memo: text } };
}

const LETTER: DeadLetter = {
  uuid: '00000000-0000-7000-8000-000000000009',
  reason: 'refused',
  sqlState: '23514',
  detail: 'check_violation (23514), constraint positive',
  attempts: 3,
  queuedAt: AT,
  deadLetteredAt: AT + 1000,
  entry: { userId: 9007199254740993n, memo: 'line\nbreak\u2028' },
};

async function linesOf(path: string): Promise<Record<string, unknown>[]> {
  const text = await readFile(path, 'utf8');
  expect(text.endsWith('\n')).toBe(true);
  return text
    .trimEnd()
    .split('\n')
    .map((line) => JSON.parse(line) as Record<string, unknown>);
}

describe('FileSpillStore', () => {
  it('writes one entry a line with all that a replay needs', async () => {
    const store = new FileSpillStore({ dir, ledger: 'default' });
    const { file, entries } = await store.spill([spilled(0, 'memo\n😀'), spilled(1)]);
    expect(entries).toBe(2);
    const lines = await linesOf(file);
    expect(lines[0]).toEqual({
      v: 1,
      uuid: spilled(0).uuid,
      reason: 'spilled',
      sqlState: null,
      detail: null,
      attempts: 2,
      mayExist: false,
      queuedAt: '2026-01-01T00:00:00.000Z',
      setAsideAt: expect.stringMatching(/^\d{4}-.*Z$/) as string,
      entry: { uuid: spilled(0).uuid, memo: 'memo\n😀' },
    });
    expect(lines[1]).toMatchObject({ mayExist: true });
  });

  it('names files by ledger, host, pid and boot time, readable by their owner only', async () => {
    const store = new FileSpillStore({ dir, ledger: 'me/ter' });
    const { file } = await store.spill([spilled(0)]);
    expect(dirname(file)).toBe(dir);
    expect(basename(file)).toMatch(
      new RegExp(`^spill-me-ter-.+-${process.pid}-\\d{4}-\\d\\d-\\d\\dT[\\d-]+-1\\.ndjson$`),
    );
    expect((await stat(file)).mode & 0o777).toBe(0o600);
  });

  it('starts a new file at the size limit, and loses no line between two', async () => {
    const store = new FileSpillStore({ dir, ledger: 'default', maxFileBytes: 300_000 });
    const entries = Array.from({ length: 1000 }, (_, index) => spilled(index, 'x'.repeat(1000)));
    const { file, entries: count } = await store.spill(entries);
    expect(count).toBe(1000);
    const names = (await readdir(dir)).sort((a, b) => a.localeCompare(b, 'en', { numeric: true }));
    expect(names.length).toBeGreaterThan(1);
    expect(names[0]).toBe(basename(file));
    const lines = await Promise.all(names.map((name) => linesOf(join(dir, name))));
    expect(lines.flat().map(({ uuid }) => uuid)).toEqual(entries.map(({ uuid }) => uuid));
    for (const name of names) expect((await stat(join(dir, name))).size).toBeLessThan(600_000);
  });

  it('never writes into the file of another ledger of the same name', async () => {
    const stores = [1, 2].map(() => new FileSpillStore({ dir, ledger: 'default' }));
    const files = await Promise.all(stores.map((store) => store.spill([spilled(0)])));
    expect(files[0]!.file).not.toBe(files[1]!.file);
    expect(await readdir(dir)).toHaveLength(2);
  });

  it('never finishes a file over that of another ledger of the same name', async () => {
    for (let round = 0; round < 30; round += 1) {
      const own = join(dir, String(round));
      const stores = Array.from({ length: 12 }, () => {
        return new FileSpillStore({ dir: own, ledger: 'default' });
      });
      await Promise.all(
        stores.map(async (store, index) => {
          // One opens its file while others finish theirs, at random times.
          await delay(Math.random() * 6);
          await store.spill([spilled(index)]);
        }),
      );
      const lines = await Promise.all((await readdir(own)).map((name) => linesOf(join(own, name))));
      const uuids = lines.flat().map(({ uuid }) => uuid);
      expect(uuids.sort()).toEqual(stores.map((_, index) => spilled(index).uuid));
    }
  });

  it('reports how many are kept if the disk accepts no more', async () => {
    const store = new FileSpillStore({ dir, ledger: 'default', maxFileBytes: 300_000 });
    const away = `${dir}-away`;
    function* many(): Generator<SpilledEntry> {
      for (let index = 0; index < 1000; index += 1) {
        if (index === 900) {
          // Root can write to any folder, so the folder is replaced.
          renameSync(dir, away);
          writeFileSync(dir, '');
        }
        yield spilled(index, 'x'.repeat(1000));
      }
    }
    const error: unknown = await store.spill(many()).catch((reason: unknown) => reason);
    const names = await readdir(away);
    const kept = await Promise.all(names.map((name) => linesOf(join(away, name))));
    await rm(dir);
    await rename(away, dir);
    expect(error).toBeInstanceOf(PartlyWrittenError);
    const { lines, file } = error as PartlyWrittenError;
    expect(kept.flat()).toHaveLength(lines);
    expect(names.map((name) => join(dir, name)).toSorted()[0]).toBe(file);
    expect(kept.flat().length).toBeGreaterThan(100);
  });

  it('reads entries in portions', async () => {
    const store = new FileSpillStore({ dir, ledger: 'default' });
    const before = process.memoryUsage().heapUsed;
    let peak = 0;
    function* many(): Generator<SpilledEntry> {
      for (let index = 0; index < 100_000; index += 1) {
        if (index % 5000 === 0) peak = Math.max(peak, process.memoryUsage().heapUsed - before);
        yield spilled(index, 'a memo of usual length for such an entry');
      }
    }
    expect(await store.spill(many())).toMatchObject({ entries: 100_000 });
    // All lines together have about 28 MB.
    expect(peak).toBeLessThan(150e6);
  });

  it('creates its folder, and reports at once when it can’t be used', async () => {
    const store = new FileSpillStore({ dir: join(dir, 'deep', 'er'), ledger: 'default' });
    await store.probe();
    expect(await readdir(join(dir, 'deep', 'er'))).toEqual([]);
    await writeFile(join(dir, 'file'), '');
    const blocked = new FileSpillStore({ dir: join(dir, 'file'), ledger: 'default' });
    await expect(blocked.probe()).rejects.toHaveProperty('code', 'EEXIST');
    await expect(blocked.spill([spilled(0)])).rejects.toThrow();
  });
});

describe('FileDeadLetterStore', () => {
  it('keeps letters in an open file until it is closed', async () => {
    const store = new FileDeadLetterStore({ dir, ledger: 'default' });
    await store.store([LETTER]);
    await Promise.all([store.store([LETTER]), store.store([{ ...LETTER, uuid: undefined }])]);
    const [open] = await readdir(dir);
    expect(open).toMatch(/^dead-letters-default-.*-1\.ndjson\.open$/);
    expect(await linesOf(join(dir, open!))).toHaveLength(3);
    await store.close();
    await store.close();
    const [closed] = await readdir(dir);
    expect(closed).toMatch(/-1\.ndjson$/);
    const lines = await linesOf(join(dir, closed!));
    expect(lines[0]).toMatchObject({
      uuid: LETTER.uuid,
      reason: 'refused',
      sqlState: '23514',
      setAsideAt: '2026-01-01T00:00:01.000Z',
      entry: { userId: '9007199254740993', memo: 'line\nbreak\u2028' },
    });
    expect(lines[2]).toMatchObject({ uuid: null });
  });

  it('leaves no file open after a late letter', async () => {
    const store = new FileDeadLetterStore({ dir, ledger: 'default' });
    await store.store([LETTER]);
    await store.close();
    await store.store([LETTER]);
    await store.store([LETTER]);
    const names = (await readdir(dir)).sort();
    expect(names.map((name) => name.replace(/^.*-(\d+\.)/, '$1'))).toEqual([
      '1.ndjson',
      '2.ndjson',
      '3.ndjson',
    ]);
  });

  it('makes no file without a letter', async () => {
    const store = new FileDeadLetterStore({ dir, ledger: 'default' });
    await store.store([]);
    await store.close();
    expect(await readdir(dir)).toEqual([]);
  });
});
