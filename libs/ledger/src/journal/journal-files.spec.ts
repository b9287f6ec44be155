import { mkdtemp, readFile, rm, stat, symlink } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import type { JournalFiles } from '../ports/journal-files.interface.js';
import { diskFiles } from './disk-files.js';
import { MemoryFiles } from './fixtures/memory-files.fixture.js';

let dir: string;
beforeEach(async () => {
  dir = await mkdtemp(join(tmpdir(), 'ledger-journal-files-'));
});
afterEach(() => rm(dir, { recursive: true, force: true }));

const MAKERS: readonly (readonly [string, () => JournalFiles])[] = [
  ['of this machine', () => diskFiles],
  [
    'in memory',
    () => {
      const files = new MemoryFiles();
      files.makeFolder(dir);
      return files;
    },
  ],
];

describe.each(MAKERS)('the file system %s', (_, make) => {
  let files: JournalFiles;
  beforeEach(() => (files = make()));

  it('makes folders, and returns the uppermost new one', () => {
    expect(files.makeFolder(join(dir, 'a/b'))).toBe(join(dir, 'a'));
    expect(files.makeFolder(join(dir, 'a/b'))).toBeUndefined();
    expect(files.makeNewFolder(join(dir, 'a/b'))).toBe(false);
    expect(files.makeNewFolder(join(dir, 'a/c'))).toBe(true);
    expect(() => files.makeNewFolder(join(dir, 'x/c'))).toThrow('ENOENT');
    expect(() => files.removeFolder(join(dir, 'a'))).toThrow('ENOTEMPTY');
    files.removeFolder(join(dir, 'a/c'));
    expect(files.identityOf(join(dir, 'a/c'))).toBeUndefined();
  });

  it('distinguishes folders independently of their names', () => {
    files.makeFolder(join(dir, 'a'));
    const first = files.identityOf(join(dir, 'a'));
    files.rename(join(dir, 'a'), join(dir, 'b'));
    files.makeFolder(join(dir, 'a'));
    expect(files.identityOf(join(dir, 'b'))).toBe(first);
    expect(files.identityOf(join(dir, 'a'))).not.toBe(first);
  });

  it('opens a file again to read it, and lists names', async () => {
    const path = join(dir, 'file');
    const file = files.create(path)!;
    files.write(file, Buffer.from('one'));
    files.close(file);
    const again = await files.openToRead(path);
    const into = Buffer.alloc(3);
    expect(await files.read(again, into, 0)).toBe(3);
    expect(into.toString()).toBe('one');
    files.close(again);
    expect(await files.names(dir)).toEqual(['file']);
    await expect(files.openToRead(join(dir, 'none'))).rejects.toThrow('ENOENT');
    await expect(files.names(join(dir, 'none'))).rejects.toThrow('ENOENT');
  });

  it('makes a file once, and appends to it in every way', async () => {
    const path = join(dir, 'file');
    const file = files.create(path)!;
    expect(files.create(path)).toBeUndefined();
    expect(files.write(file, Buffer.from('one'))).toBe(3);
    expect(files.writeMany(file, [Buffer.from('two'), Buffer.from('three')])).toBe(8);
    expect(await files.writeLater(file, [Buffer.from('four')])).toBe(4);
    await files.sync(file);
    files.syncNow(file);
    await files.syncFolder(dir);
    files.syncFolderNow(dir);
    files.touch(path, 1_700_000_000_000);
    files.close(file);
    await files.unlink(path);
    expect(() => files.unlinkNow(path)).toThrow('ENOENT');
    expect(() => files.touch(path, 0)).toThrow('ENOENT');
    expect(files.create(path)).toBeDefined();
  });
});

describe('the file system of this machine', () => {
  it('makes files and folders for their owner alone', async () => {
    diskFiles.makeFolder(join(dir, 'a/b'));
    diskFiles.makeNewFolder(join(dir, 'a/c'));
    const file = diskFiles.create(join(dir, 'a/b/file'))!;
    diskFiles.write(file, Buffer.from('abcdef'));
    diskFiles.truncate(file, 4);
    diskFiles.close(file);
    expect(await readFile(join(dir, 'a/b/file'), 'utf8')).toBe('abcd');
    const modes = ['a', 'a/b', 'a/c', 'a/b/file'].map(async (name) => {
      return (await stat(join(dir, name))).mode & 0o777;
    });
    expect(await Promise.all(modes)).toEqual([0o700, 0o700, 0o700, 0o600]);
  });

  it('follows no link instead of creating a file', async () => {
    await symlink(join(dir, 'victim'), join(dir, 'link'));
    expect(diskFiles.create(join(dir, 'link'))).toBeUndefined();
    await expect(stat(join(dir, 'victim'))).rejects.toThrow('ENOENT');
  });
});
