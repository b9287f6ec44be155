import { appendFileSync, mkdirSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { FolderRounds } from './folder-rounds.js';
import type { FoundFolder } from './scan-folders.js';

let dir: string;
beforeEach(async () => {
  dir = await mkdtemp(join(tmpdir(), 'ledger-rounds-'));
});
afterEach(() => rm(dir, { recursive: true, force: true }));

function folder(number: number, files: Readonly<Record<string, string>> = {}): string {
  const name = number.toString(16).padStart(8, '0');
  mkdirSync(join(dir, name));
  for (const [file, text] of Object.entries(files)) writeFileSync(join(dir, name, file), text);
  return name;
}

/** Looks once; nothing is refused. */
function look(
  rounds: FolderRounds,
  wants: (path: string) => boolean | 'always' = () => true,
): ReturnType<FolderRounds['look']> {
  return rounds.look(wants, (path, error) => {
    throw new Error(path, { cause: error });
  });
}

const namesOf = (folders: readonly FoundFolder[]): string[] => folders.map(({ name }) => name);

describe('rounds through folders', () => {
  it('look into a bounded number of folders at a time, each in its turn', async () => {
    const all = Array.from({ length: 1000 }, (_, index) => folder(index));
    const rounds = new FolderRounds(dir);
    for (let round = 0; round < 2; round++) {
      const seen = new Set<string>();
      for (let turn = 0; turn < 16; turn++) {
        const { folders, paths } = await look(rounds);
        expect(folders.length).toBeLessThanOrEqual(64);
        expect(paths.size).toBe(1000);
        for (const name of namesOf(folders)) seen.add(name);
      }
      expect([...seen].sort()).toEqual(all);
    }
  });

  it('start with a new folder, always include those of this run, and skip unwanted ones', async () => {
    for (let index = 0; index < 200; index++) folder(index);
    const [own, unwanted] = [folder(0xaaaa), folder(0xbbbb)];
    const rounds = new FolderRounds(dir);
    const wants = (path: string): boolean | 'always' =>
      path.endsWith(own) ? 'always' : !path.endsWith(unwanted);
    for (let turn = 0; turn < 8; turn++) {
      const names = namesOf((await look(rounds, wants)).folders);
      expect(names).toContain(own);
      expect(names).not.toContain(unwanted);
    }
    const fresh = folder(0xcccc);
    expect(namesOf((await look(rounds, wants)).folders)).toContain(fresh);
  });

  it('read again only files that may have changed', async () => {
    const name = folder(1, { '000001.wal': 'one', '000002.wal': 'two', 'owner.json': 'none' });
    const rounds = new FolderRounds(dir);
    const first = async (): Promise<FoundFolder> => (await look(rounds)).folders[0]!;
    const before = await first();
    // Only the last file of a folder grows.
    appendFileSync(join(dir, name, '000001.wal'), 'more');
    expect((await first()).print).toBe(before.print);
    appendFileSync(join(dir, name, '000002.wal'), 'more');
    const after = await first();
    expect(after.print).not.toBe(before.print);
    expect(after.files.map(({ bytes }) => bytes)).toEqual([3, 7]);
    writeFileSync(join(dir, name, '000003.wal'), 'three');
    rmSync(join(dir, name, '000001.wal'));
    expect((await first()).files.map((file) => [file.name, file.bytes])).toEqual([
      ['000002.wal', 7],
      ['000003.wal', 5],
    ]);
  });

  it("report a folder that can't be read, and look into all others in their turn", async () => {
    const all = Array.from({ length: 100 }, (_, index) => folder(0x1000 + index));
    // Each of them leads to itself.
    const loops = Array.from({ length: 70 }, (_, index) => index.toString(16).padStart(8, '0'));
    for (const name of loops) symlinkSync(name, join(dir, name));
    const rounds = new FolderRounds(dir);
    const seen = new Set<string>();
    const refused = new Map<string, unknown>();
    for (let turn = 0; turn < 3; turn++) {
      const { folders, paths } = await rounds.look(
        () => true,
        (path, error) => refused.set(path, (error as NodeJS.ErrnoException).code),
      );
      expect(paths.size).toBe(170);
      for (const name of namesOf(folders)) seen.add(name);
    }
    expect([...seen].sort()).toEqual(all);
    expect([...refused].sort()).toEqual(loops.map((name) => [join(dir, name), 'ELOOP']));
  });

  it('find nothing if the ledger has no folder', async () => {
    const { folders, paths } = await look(new FolderRounds(join(dir, 'none')));
    expect([folders, paths.size]).toEqual([[], 0]);
  });
});
