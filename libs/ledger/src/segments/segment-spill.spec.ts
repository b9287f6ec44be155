import { chmodSync, lchownSync, mkdirSync, rmSync, writeFileSync } from 'node:fs';
import { mkdir, mkdtemp, readdir, rm, symlink } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { createRowEncoder } from '../sink-kit/row-encoder.js';
import { PLAIN_TABLE } from '../testing/ledger-under-test.js';
import { ManualClock } from '../testing/manual-clock.js';
import { openSegment } from './read-segment.js';
import { SegmentSpill } from './segment-spill.js';

const SOMEBODY = 12_345;
const isRoot = process.getuid?.() === 0;

let dir: string;
let clock: ManualClock;
let spills: SegmentSpill[];
beforeEach(async () => {
  dir = await mkdtemp(join(tmpdir(), 'ledger-segment-spill-'));
  clock = new ManualClock();
  spills = [];
});
afterEach(async () => {
  for (const spill of spills) spill.close();
  await rm(dir, { recursive: true, force: true });
});

function spillTo(folder: string, maxFileBytes?: number): SegmentSpill {
  const target = (): { table: string } => ({ table: 'usage_entries' });
  const size = maxFileBytes === undefined ? {} : { maxFileBytes };
  const spill = new SegmentSpill({
    dir: folder,
    table: PLAIN_TABLE,
    run: '0000002a',
    target,
    clock,
    ...size,
  });
  spills.push(spill);
  return spill;
}

const encode = createRowEncoder(PLAIN_TABLE);
const row = (): { slices: Buffer[]; count: number; position: number } => {
  return { slices: [encode({ userId: 1 })], count: 1, position: 0 };
};

async function rowsIn(path: string): Promise<number> {
  const segment = await openSegment(path);
  let rows = 0;
  for await (const part of segment.parts()) rows += part.kind === 'rows' ? part.rows : Number.NaN;
  await segment.close();
  return rows;
}

describe('SegmentSpill', () => {
  it('keeps rows at once, and finishes the file a second after the last', async () => {
    const watched: boolean[] = [];
    const spill = spillTo(join(dir, 'deep', 'er'));
    spill.watch((isOpen) => watched.push(isOpen));
    const file = spill.keep(row())!;
    expect(file).toMatch(/\/deep\/er\/spill-default--.+-1\.wal$/);
    expect(await rowsIn(`${file}.open`)).toBe(1);
    await clock.advance(900);
    spill.keep(row());
    await clock.advance(900);
    expect(await rowsIn(`${file}.open`)).toBe(2);
    await clock.advance(100);
    expect(await rowsIn(file)).toBe(2);
    expect(watched).toEqual([true, false]);
    expect(clock.pendingTimers).toBe(0);
    expect(spill.keep(row())).toMatch(/-2\.wal$/);
  });

  it('starts a new file at the size limit', async () => {
    const spill = spillTo(dir, 2000);
    const files = Array.from({ length: 30 }, () => spill.keep(row()));
    spill.close();
    const names = await readdir(dir);
    expect(new Set(files).size).toBe(names.length);
    expect(names.length).toBeGreaterThan(2);
    const rows = await Promise.all(names.map((name) => rowsIn(join(dir, name))));
    expect(rows.reduce((sum, each) => sum + each)).toBe(30);
  });

  it('never writes into the file of another ledger of the same name', async () => {
    const files = [spillTo(dir), spillTo(dir)].map((spill) => spill.keep(row()));
    expect(files[0]).not.toBe(files[1]);
    expect(await readdir(dir)).toHaveLength(2);
  });

  it('returns undefined if no file takes rows, retries a second later, and at once after a close', async () => {
    const blocked = join(dir, 'blocked');
    writeFileSync(blocked, '');
    const spill = spillTo(blocked);
    expect(spill.keep(row())).toBeUndefined();
    rmSync(blocked);
    expect(spill.keep(row()), 'it rests').toBeUndefined();
    await clock.advance(1000);
    expect(spill.keep(row())).toBeDefined();

    const other = spillTo(join(dir, 'other'));
    writeFileSync(join(dir, 'other'), '');
    expect(other.keep(row())).toBeUndefined();
    rmSync(join(dir, 'other'));
    other.close();
    expect(other.keep(row())).toBeDefined();
  });

  it('follows a link owned by itself or root, as in deployments', async () => {
    await mkdir(join(dir, 'shared'));
    await symlink(join(dir, 'shared'), join(dir, 'current'));
    expect(spillTo(join(dir, 'current')).keep(row())).toBeDefined();
    expect(await readdir(join(dir, 'shared'))).toHaveLength(1);
  });

  it.skipIf(!isRoot)('follows no link of another user', async () => {
    const victim = join(dir, 'victim');
    mkdirSync(victim);
    chmodSync(victim, 0o700);
    await symlink(victim, join(dir, 'link'));
    lchownSync(join(dir, 'link'), SOMEBODY, SOMEBODY);
    expect(spillTo(join(dir, 'link')).keep(row())).toBeUndefined();
    expect(await readdir(victim)).toEqual([]);
  });
});
