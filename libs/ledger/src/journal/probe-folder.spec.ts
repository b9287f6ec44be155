import { lchownSync } from 'node:fs';
import {
  chmod,
  chown,
  mkdir,
  mkdtemp,
  readdir,
  rm,
  stat,
  symlink,
  writeFile,
} from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { prepareFolder } from '../files/private-folder.js';
import { diskFiles } from './disk-files.js';
import { probeJournalFolder, type ProbedJournal } from './probe-folder.js';

const SOMEBODY = 12_345;
const isRoot = process.getuid?.() === 0;

let dir: string;
beforeEach(async () => {
  dir = await mkdtemp(join(tmpdir(), 'ledger-journal-probe-'));
});
afterEach(() => rm(dir, { recursive: true, force: true }));

function probe(journalDir: string, syncs = false): Promise<ProbedJournal> {
  return probeJournalFolder({ journalDir, ledger: 'default', syncs });
}

describe('the folder of a ledger’s journals', () => {
  it.each([false, true])(
    'is made for its owner alone, and left empty (power: %s)',
    async (syncs) => {
      const journalDir = join(dir, 'a', 'b');
      expect(await probe(journalDir, syncs)).toEqual({ fault: undefined, risk: undefined });
      for (const path of ['a', 'a/b', 'a/b/default']) {
        expect((await stat(join(dir, path))).mode & 0o777).toBe(0o700);
      }
      expect(await readdir(join(journalDir, 'default'))).toEqual([]);
    },
  );

  it.each([
    ['a file in its place', 'EEXIST', (path: string) => writeFile(path, '')],
    ['a link to itself', 'ELOOP', (path: string) => symlink(path, path)],
  ])('can’t be %s', async (_, reason, make) => {
    await make(join(dir, 'journal'));
    const { fault } = await probe(join(dir, 'journal', 'in', 'it'));
    expect(fault).toMatchObject({ reason: reason === 'EEXIST' ? 'ENOTDIR' : reason });
    expect(fault!.isLasting).toBe(true);
  });

  it.skipIf(process.platform !== 'linux').each(['/proc/journal', '/proc/self/fd/a/b'])(
    'can’t be in a file system of the kernel (%s), which is reported at once',
    async (path) => {
      const { fault } = await probe(path);
      expect(fault).toMatchObject({
        reason: `${dirname(path.replace('/a/b', '/a'))} is of a file system of the kernel's, which takes no folders: name one on a disk`,
        isLasting: true,
      });
      expect(() => diskFiles.makeFolder(path)).toThrow('takes no folders');
      await expect(prepareFolder(path)).rejects.toThrow('takes no folders');
    },
  );

  it('can’t be a file with the ledger’s name', async () => {
    await writeFile(join(dir, 'default'), '');
    expect((await probe(dir)).fault).toMatchObject({ reason: 'EEXIST', isLasting: true });
  });

  it('can’t have a name that is too long', async () => {
    const { fault } = await probe(join(dir, 'x'.repeat(300)));
    expect(fault).toMatchObject({ reason: 'ENAMETOOLONG', isLasting: true });
  });

  it('may be missing for now, for example on a volume that is mounted later', async () => {
    await symlink(join(dir, 'nowhere', 'yet'), join(dir, 'journal'));
    const { fault } = await probe(join(dir, 'journal'));
    expect(fault).toMatchObject({ reason: 'ENOENT', isLasting: false });
  });

  it.each([
    [0o700, undefined],
    [0o1777, undefined],
    [0o777, /^other users can delete files in .+ \(mode 0777\)/],
    [0o2775, /\(mode 2775\)/],
  ])(
    'may be in a folder of mode %o, which is judged by the rights of others',
    async (mode, risk) => {
      await chmod(dir, mode);
      const found = await probe(dir);
      expect(found.fault).toBeUndefined();
      if (risk === undefined) expect(found.risk).toBeUndefined();
      else expect(found.risk).toMatch(risk);
    },
  );

  it.skipIf(!isRoot)('can’t belong to another user', async () => {
    await mkdir(join(dir, 'default'));
    await chown(join(dir, 'default'), SOMEBODY, SOMEBODY);
    expect((await probe(dir)).fault).toMatchObject({
      reason: expect.stringMatching(
        /default belongs to another user \(uid 12345; this process runs as uid 0\)/,
      ),
      isLasting: true,
    });
  });

  it.skipIf(!isRoot)('may be in a folder of another user, which is a risk', async () => {
    await chown(dir, SOMEBODY, SOMEBODY);
    const found = await probe(dir);
    expect(found.fault).toBeUndefined();
    expect(found.risk).toMatch(/ belongs to another user \(uid 12345\)/);
  });

  it.skipIf(!isRoot).each(['journal', 'journal/default'])(
    'can’t be reached by another user’s link at %s',
    async (at) => {
      const victim = join(dir, 'victim');
      await mkdir(victim);
      if (at !== 'journal') await mkdir(join(dir, 'journal'));
      await symlink(victim, join(dir, at));
      lchownSync(join(dir, at), SOMEBODY, SOMEBODY);
      expect((await probe(join(dir, 'journal'))).fault).toMatchObject({
        reason: expect.stringMatching(/ is a symbolic link of another user \(uid 12345\)/),
        isLasting: true,
      });
      expect(await readdir(victim)).toEqual([]);
    },
  );
});
