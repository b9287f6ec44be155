import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { decodeSettled } from '../segments/settled-frame.js';
import { FOLDER, JournalUnderTest, RUN } from './fixtures/journal-under-test.fixture.js';
import { MemoryFiles } from './fixtures/memory-files.fixture.js';
import { readJournal, unsettledOf, type JournalContent } from './fixtures/read-journal.fixture.js';

let dir: string;
let stored: number;
beforeEach(async () => {
  dir = await mkdtemp(join(tmpdir(), 'ledger-journal-'));
  stored = 0;
});
afterEach(() => rm(dir, { recursive: true, force: true }));

/** Files that remain if the process ends now. */
async function contentOf({ files }: JournalUnderTest): Promise<JournalContent> {
  const folder = join(dir, String(stored++));
  await files.store(folder);
  return readJournal(folder);
}

/** Test numbers of the rows in the files that are not marked as settled. */
async function unsettled(test: JournalUnderTest): Promise<number[]> {
  const content = await contentOf(test);
  expect(content.damaged).toEqual([]);
  return unsettledOf(content).map(([position, row]) => {
    expect(row.equals(test.rows[position]!)).toBe(true);
    return position;
  });
}

const range = (from: number, to: number): number[] =>
  Array.from({ length: to - from }, (_, index) => from + index);

describe('the journal with one write per turn', () => {
  it('has every row on file at the end of its turn, in one frame, and answers waiters', async () => {
    const test = new JournalUnderTest();
    test.append(3);
    const wait = test.waitForLast();
    expect(test.files.paths()).toEqual([]);
    expect(wait.end).toBeUndefined();
    await test.clock.turn();
    expect(wait.end).toBe('durable');
    expect(test.files.paths()).toEqual([`${FOLDER}/000001.wal`, `${FOLDER}/owner.json`]);
    const content = await contentOf(test);
    expect([...content.rows.values()]).toEqual(test.rows);
    expect(test.files.operations.filter((each) => each === 'write')).toHaveLength(4);
    expect(test.journal).toMatchObject({ state: 'writing', durableUntil: 3, files: 1 });
  });

  it('makes nothing before the first row, and removes everything once every row is settled', async () => {
    const test = new JournalUnderTest();
    test.journal.close();
    expect(test.files.operations).toEqual([]);
    test.append(2);
    await test.clock.turn();
    test.settle(2);
    test.journal.close();
    expect(test.files.paths()).toEqual([]);
    expect(test.files.identityOf(FOLDER)).toBeUndefined();
    expect(test.watched).toEqual([true, false]);
    expect(test.clock.pendingTimers).toBe(0);
    expect(test.files.openFiles).toBe(0);
  });

  it('leaves unsettled rows, and releases the folder', async () => {
    const test = new JournalUnderTest();
    test.append(5);
    await test.clock.turn();
    test.settle(2);
    const left = test.take(3);
    expect(test.journal.leave()).toBe(FOLDER);
    // They count as settled for the ledger, but not for a reader of the files.
    test.channel.settle(left);
    test.journal.close();
    expect(await unsettled(test)).toEqual([2, 3, 4]);
    expect(test.files.paths()).toContain(`${FOLDER}/released`);
    expect(test.files.openFiles).toBe(0);
    expect(test.clock.pendingTimers).toBe(0);
  });

  it('writes within an endless turn, so that little memory waits for the write', async () => {
    const test = new JournalUnderTest();
    test.append(300, 'x'.repeat(8000));
    expect(test.journal.durableUntil).toBeGreaterThan(200);
    expect((await unsettled(test)).length).toBe(test.journal.durableUntil);
  });

  it('continues after a partial write of the file system', async () => {
    const files = new MemoryFiles();
    const test = new JournalUnderTest(files);
    files.maxWriteBytes = 100;
    test.append(3);
    test.append(20, 'y'.repeat(8000));
    await test.clock.turn();
    expect(await unsettled(test)).toEqual(range(0, 23));
  });

  it('writes the settled position once a second, with the time and the server', async () => {
    const test = new JournalUnderTest();
    test.append(10);
    await test.clock.turn();
    test.settle(4);
    test.journal.noteServer({ systemIdentifier: 7_000_000_000_000_000_001n, timeline: 3 });
    await test.clock.advance(1000);
    expect(await unsettled(test)).toEqual(range(4, 10));
    const { settled } = await contentOf(test);
    const { position, bytes } = settled.at(-1)!;
    expect(decodeSettled(position, bytes)).toEqual({
      position: 4,
      systemIdentifier: 7_000_000_000_000_000_001n,
      timeline: 3,
      at: test.clock.now(),
    });
  });

  it('does not count a row as settled while an earlier one is unsettled', async () => {
    const test = new JournalUnderTest();
    test.append(10);
    await test.clock.turn();
    const first = test.take(1);
    test.settle(9);
    await test.clock.advance(1000);
    expect(await unsettled(test)).toEqual(range(0, 10));
    test.channel.settle(first);
    await test.clock.advance(1000);
    expect(await unsettled(test)).toEqual([]);
  });

  it('gives a sign of life every second, with rows and without', async () => {
    const test = new JournalUnderTest();
    test.append(1);
    await test.clock.turn();
    const sizes: number[] = [];
    for (let second = 0; second < 3; second++) {
      await test.clock.advance(1000);
      sizes.push(test.journal.bytes);
    }
    expect(new Set(sizes).size).toBe(3);
    test.settle(1);
    await test.clock.advance(3000);
    expect(test.files.touchedAt(`${FOLDER}/owner.json`)).toBe(test.clock.now());
    await test.clock.advance(5000);
    expect(test.files.touchedAt(`${FOLDER}/owner.json`)).toBe(test.clock.now());
  });

  it('keeps no row on disk once all are settled and no new one comes', async () => {
    const test = new JournalUnderTest();
    test.append(3);
    await test.clock.turn();
    test.settle(3);
    await test.clock.advance(4000);
    expect(test.files.paths()).toEqual([`${FOLDER}/owner.json`]);
    expect(test.journal).toMatchObject({ bytes: 0, files: 0 });
    test.append(1);
    await test.clock.turn();
    expect(await unsettled(test)).toEqual([3]);
  });

  it('starts a new file at 16 MiB, and unlinks those whose rows are settled', async () => {
    const test = new JournalUnderTest();
    for (let i = 0; i < 50; i++) {
      test.append(100, 'z'.repeat(8000));
      await test.clock.turn();
    }
    expect(test.journal.files).toBe(3);
    expect(test.journal.bytes).toBeGreaterThan(40_000_000);
    test.settle(4900);
    await test.clock.advance(1000);
    expect(test.journal.files).toBe(1);
    expect(test.files.paths()).toEqual([`${FOLDER}/000003.wal`, `${FOLDER}/owner.json`]);
    expect(await unsettled(test)).toEqual(range(4900, 5000));
  });

  it('keeps settled files for keepMs', async () => {
    const test = new JournalUnderTest(new MemoryFiles(), { keepMs: 60_000 });
    for (let i = 0; i < 50; i++) {
      test.append(100, 'z'.repeat(8000));
      await test.clock.turn();
    }
    test.settle(5000);
    await test.clock.advance(59_000);
    expect(test.journal.files).toBe(3);
    await test.clock.advance(3000);
    expect(test.journal.files).toBe(1);
    test.journal.close();
    expect(test.files.paths()).toContain(`${FOLDER}/released`);
    expect(await unsettled(test)).toEqual([]);
  });

  it('unlinks kept files first if room is needed', async () => {
    const test = new JournalUnderTest(new MemoryFiles(), { keepMs: 60_000, maxBytes: 2 ** 26 });
    for (let i = 0; i < 100; i++) {
      test.append(100, 'z'.repeat(8000));
      await test.clock.turn();
      test.settle(100);
      await test.clock.advance(100);
    }
    expect(test.journal.state).toBe('writing');
    expect(test.journal.bytes).toBeLessThan(2 ** 26);
  });

  it('writes the owner to owner.json, and again once the table is known', async () => {
    const test = new JournalUnderTest();
    test.append(1);
    await test.clock.turn();
    await test.files.store(dir);
    test.owner = '{"run":"0000002a","target":{"id":"1"}}';
    await test.clock.advance(1000);
    test.append(1);
    await test.clock.turn();
    expect(test.files.paths()).toEqual(
      ['000001.wal', '000002.wal', 'owner.json'].map((name) => `${FOLDER}/${name}`),
    );
    expect(await unsettled(test)).toEqual([0, 1]);
  });
});

describe('the memory of rows', () => {
  it('is kept until they are on file, even if they are settled', async () => {
    const test = new JournalUnderTest();
    test.append(5);
    test.settle(5);
    expect(test.channel.rowsFrom(0)).toHaveLength(1);
    await test.clock.turn();
    expect(test.channel.rowsFrom(0)).toEqual([]);
    const { rows } = await contentOf(test);
    expect([...rows.values()]).toEqual(test.rows);
  });
});

describe('a row after the seal', () => {
  const late = (test: JournalUnderTest, position: number): string | undefined =>
    test.journal.keep({ slices: [test.rows[0]!], count: 1, position });

  it('is on file when the call returns, and stays there', async () => {
    const test = new JournalUnderTest();
    test.append(2);
    await test.clock.turn();
    test.settle(2);
    expect(late(test, 2)).toBe(`${FOLDER}/000001.wal`);
    test.journal.close();
    const content = await contentOf(test);
    expect(content.rows.get(2)).toEqual(test.rows[0]);
    expect(content.settledUntil).toBe(0);
    expect(test.files.paths()).toContain(`${FOLDER}/released`);
  });

  it('starts another folder after the end, which is released a second later', async () => {
    const test = new JournalUnderTest();
    test.append(2);
    await test.clock.turn();
    test.settle(1);
    test.journal.leave();
    test.journal.close();
    expect(late(test, 2)).toBe(`/journal/default/${RUN}-2/000001.wal`);
    await test.clock.advance(2000);
    expect(test.files.paths()).toContain(`/journal/default/${RUN}-2/released`);
    expect(test.watched).toEqual([true, false, true, false]);
    expect(test.clock.pendingTimers).toBe(0);
  });
});
