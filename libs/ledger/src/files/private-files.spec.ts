import { lchownSync, linkSync } from 'node:fs';
import {
  chmod,
  chown,
  lstat,
  mkdir,
  mkdtemp,
  readdir,
  readFile,
  rm,
  stat,
  symlink,
  utimes,
  writeFile,
} from 'node:fs/promises';
import { hostname, tmpdir } from 'node:os';
import { join } from 'node:path';
import { execFileSync } from 'node:child_process';
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import { ManualClock } from '../testing/manual-clock.js';
import { createFile, createFileSync } from './create-file.js';
import { fileNameOf, isBeingWritten, isOfOther } from './file-names.js';
import { FileSpillStore } from './file-spill-store.js';
import { LedgerFiles } from './ledger-files.js';
import { openRegularFile } from './open-regular-file.js';
import { prepareFolder } from './private-folder.js';

const SOMEBODY = 12_345;
const isRoot = process.getuid?.() === 0;
const AT = Date.UTC(2026, 0, 1);

let dir: string;
beforeEach(async () => {
  dir = await mkdtemp(join(tmpdir(), 'ledger-private-'));
});
afterEach(() => rm(dir, { recursive: true, force: true }));

describe('a file of a ledger', () => {
  it('never replaces an existing object: a file, a link to one, a link to nowhere, a pipe', async () => {
    const victim = join(dir, 'victim');
    await writeFile(victim, 'precious');
    await symlink(victim, join(dir, 'link'));
    await symlink(join(dir, 'nowhere'), join(dir, 'dangling'));
    await symlink('loop', join(dir, 'loop'));
    linkSync(victim, join(dir, 'hard'));
    execFileSync('mkfifo', [join(dir, 'pipe')]);
    for (const name of ['victim', 'link', 'dangling', 'loop', 'hard', 'pipe']) {
      expect(await createFile(join(dir, name)), name).toBeUndefined();
      expect(createFileSync(join(dir, name)), name).toBeUndefined();
    }
    expect(await readFile(victim, 'utf8')).toBe('precious');
    await expect(lstat(join(dir, 'nowhere'))).rejects.toThrow('ENOENT');
  });

  it('is not read through a link, and a pipe blocks no reader', async () => {
    await symlink('/etc/passwd', join(dir, 'a.ndjson'));
    execFileSync('mkfifo', [join(dir, 'b.ndjson')]);
    await expect(openRegularFile(join(dir, 'a.ndjson'))).rejects.toHaveProperty('code', 'ELOOP');
    await expect(openRegularFile(join(dir, 'b.ndjson'))).rejects.toHaveProperty('code', 'ENOTFILE');
    await expect(openRegularFile(dir)).rejects.toHaveProperty('code', 'ENOTFILE');
  });

  it('is tested under an unpredictable name, and overwrites nothing', async () => {
    const victim = join(dir, 'victim');
    await writeFile(victim, 'precious');
    // The name used by earlier versions.
    const boot = new Date(Date.now() - process.uptime() * 1000).toISOString().slice(0, 19);
    const name = ['.spill-default', hostname(), process.pid, boot].join('-').replaceAll(':', '-');
    await symlink(victim, join(dir, `${name}.probe`));
    await new FileSpillStore({ dir, ledger: 'default' }).probe();
    expect(await readFile(victim, 'utf8')).toBe('precious');
    expect((await readdir(dir)).toSorted()).toEqual([`${name}.probe`, 'victim']);
  });
});

describe('the folder of a ledger’s files', () => {
  it('is made for its owner only', async () => {
    expect(await prepareFolder(join(dir, 'a', 'b'))).toBeUndefined();
    for (const path of ['a', 'a/b']) {
      expect((await stat(join(dir, path))).mode & 0o777).toBe(0o700);
    }
  });

  it.each([
    [0o700, undefined],
    [0o755, undefined],
    [0o1777, undefined],
    [
      0o777,
      /^other users can delete files in .+ \(mode 0777\): run chmod 700 on it, or set the path/,
    ],
    [0o770, /\(mode 0770\)/],
    [0o2775, /\(mode 2775\)/],
  ])('of mode %o is judged by what others can do in it', async (mode, risk) => {
    const folder = join(dir, 'given');
    await mkdir(folder);
    await chmod(folder, mode);
    const found = await new LedgerFiles(folder, 'default').probe();
    expect(found.fault).toBeUndefined();
    if (risk === undefined) expect(found.risk).toBeUndefined();
    else expect(found.risk).toMatch(risk);
  });

  it("is tested again every minute while it can't be used, until the ledger ends", async () => {
    const clock = new ManualClock();
    const folder = join(dir, 'given');
    await writeFile(folder, 'a file is in the way');
    const files = new LedgerFiles(folder, 'default', clock);
    await files.probe();
    expect([files.isUnavailable, clock.pendingTimers]).toEqual([true, 1]);
    await clock.advance(60_000);
    await vi.waitFor(() => expect(clock.pendingTimers).toBe(1), 25_000);
    expect(files.isUnavailable).toBe(true);
    await rm(folder);
    await clock.advance(60_000);
    await vi.waitFor(() => expect(files.isUnavailable).toBe(false), 25_000);
    expect(clock.pendingTimers).toBe(0);
    await files.close();
    await rm(folder, { recursive: true });
    await writeFile(folder, 'a file is in the way again');
    await files.probe();
    expect([files.isUnavailable, clock.pendingTimers]).toEqual([true, 0]);
  });

  it.skipIf(!isRoot)('of another user is used, and named', async () => {
    const folder = join(dir, 'given');
    await mkdir(folder);
    await chown(folder, SOMEBODY, SOMEBODY);
    const found = await new LedgerFiles(folder, 'default').probe();
    expect(found.risk).toMatch(
      / belongs to another user \(uid 12345\), who can delete files in it/,
    );
  });

  it.skipIf(!isRoot)('is not used through a link of another user', async () => {
    await mkdir(join(dir, 'victim'));
    const link = join(dir, 'link');
    await symlink(join(dir, 'victim'), link);
    lchownSync(link, SOMEBODY, SOMEBODY);
    const files = new LedgerFiles(link, 'default');
    expect(await files.probe()).toMatchObject({
      fault: expect.stringMatching(/ is a symbolic link of another user \(uid 12345\)/),
    });
    expect(files.isUnavailable).toBe(true);
    const entry = { uuid: 'u', mayExist: false, attempts: 0, queuedAt: AT, entry: {} };
    await expect(files.spills.spill([entry])).rejects.toHaveProperty('code', 'UNSAFE_FOLDER');
    expect(await readdir(join(dir, 'victim'))).toEqual([]);
  });
});

describe('files of earlier runs', () => {
  const OLD = 'host-1-2026-01-01T00-00-00';

  async function put(name: string, bytes = 100): Promise<void> {
    await writeFile(join(dir, name), Buffer.alloc(bytes));
    await utimes(join(dir, name), AT / 1000, AT / 1000);
  }

  it('are those of this ledger, of lines and of rows, and no others', async () => {
    const files = new LedgerFiles(dir, 'usage');
    expect(await files.findLeft()).toBeUndefined();
    await put(`spill-usage--${OLD}-1.ndjson`);
    await put(`spill-usage--${OLD}-2.wal`, 2000);
    await put(`spill-usage-eu--${OLD}-1.wal`);
    await put(`spill-us--${OLD}-1.ndjson`);
    await put(`dead-letters-usage--${OLD}-1.ndjson`);
    await put('notes.txt');
    await mkdir(join(dir, `spill-usage--${OLD}-9.ndjson`));
    const own = fileNameOf('spill', 'usage');
    await put(`${own}-1.ndjson.open`);
    expect(await files.findLeft()).toEqual({ dir, files: 2, bytes: 2100, oldest: AT });
  });

  it('include those left unfinished by an earlier process with this pid', async () => {
    const own = fileNameOf('spill', 'usage');
    const before = own.replace(/\d{4}-\d\d-\d\dT[\d-]+$/, '2026-01-01T00-00-00');
    expect(before).not.toBe(own);
    expect(isBeingWritten(`${own}-1.wal.open`)).toBe(true);
    expect(isBeingWritten(`${before}-1.wal.open`)).toBe(false);
    expect(isBeingWritten(`${own}-1.wal`)).toBe(false);
  });

  it.each([
    ['spill-usage--h-1-2026-1.ndjson', 'usage', false],
    ['spill-usage-eu--h-1-2026-1.ndjson', 'usage', true],
    ['spill-usage--h-1-2026-1.ndjson', 'usage-eu', true],
    ['dead-letters-a_b--h-1-2026-1.ndjson', 'a_b', false],
    // From a version whose names do not show where the ledger's name ends.
    ['spill-usage-h-1-2026-1.ndjson', 'usage', false],
    ['spill-usage-h-1-2026-1.ndjson', 'billing', true],
    // Named by a person.
    ['mended.ndjson', 'usage', false],
  ])('%s is of ledger %s unless: %s', (name, ledger, isOther) => {
    expect(isOfOther(name, ledger)).toBe(isOther);
  });
});
