import { describe, expect, it } from 'vitest';
import { SLAB_FOOTPRINT_BYTES } from '../codec/slab.js';
import { FRAME_MAGIC_BYTES } from '../segments/segment-format.js';
import { FOLDER, JournalUnderTest } from './fixtures/journal-under-test.fixture.js';
import { fileError, MemoryFiles } from './fixtures/memory-files.fixture.js';

const MIB = 1_048_576;
const MEMO = 'd'.repeat(2000);
/** Rows of about two MiB. */
const ROUND = 1000;

function diskTest(maxBytes = 2 ** 32, bufferMaxBytes = 8 * MIB): JournalUnderTest {
  const test = new JournalUnderTest(new MemoryFiles(), { reads: true, maxBytes }, bufferMaxBytes);
  test.channel.storeIn(test.journal.store, () => test.loads++);
  return test;
}

/** Appends rounds of rows while there is room. @returns rows without room */
async function fill(test: JournalUnderTest, rounds: number): Promise<number> {
  let refused = 0;
  for (let i = 0; i < rounds; i++) {
    if (test.channel.hasEntryRoom && test.channel.hasRoom(2100)) test.append(ROUND, MEMO);
    else refused += ROUND;
    await test.clock.turn();
  }
  return refused;
}

/** Takes, checks and settles all rows. @returns rows that could not be read back */
async function drain(test: JournalUnderTest): Promise<number> {
  let lost = 0;
  while (test.channel.depth > 0) {
    if (test.channel.lostIn !== undefined) {
      const batch = test.channel.takeStored();
      lost += batch.count;
      test.channel.settle(batch);
      continue;
    }
    const batch = test.channel.take(300);
    if (batch === undefined) {
      await test.clock.turn();
      continue;
    }
    for (let index = 0; index < batch.count; index++) {
      const position = batch.positionOf(index);
      if (!batch.row(index).equals(test.rows[position]!)) throw new Error(`row ${position}`);
    }
    test.channel.settle(batch);
  }
  return lost;
}

/** Takes and settles rows that are in memory or lost. @returns lost rows */
async function drainReady({ channel }: JournalUnderTest): Promise<number> {
  let lost = 0;
  while (channel.isReady || channel.lostIn !== undefined) {
    const batch = channel.isReady ? channel.take(500)! : channel.takeStored();
    if (batch.slices()[0]!.length === 0) lost += batch.count;
    channel.settle(batch);
  }
  return lost;
}

function frameStarts(bytes: Buffer): number[] {
  const starts: number[] = [];
  for (let at = bytes.indexOf(FRAME_MAGIC_BYTES); at >= 0;) {
    starts.push(at);
    at = bytes.indexOf(FRAME_MAGIC_BYTES, at + 1);
  }
  return starts;
}

const damagedLine = /^(\d+) entries can't be read back from (\S+): they stay there/;

describe("overflow: 'disk'", () => {
  it('keeps little in memory, refuses nothing, and returns all rows in their order', async () => {
    const test = diskTest();
    expect(await fill(test, 16)).toBe(0);
    expect(test.channel.depth).toBe(16 * ROUND);
    expect(test.channel.rowsFrom(0).length * SLAB_FOOTPRINT_BYTES).toBeLessThan(8 * MIB);
    expect(test.channel.saturation).toBeLessThan(0.8);
    await drain(test);
    expect(test.channel).toMatchObject({ bytes: 0, depth: 0, inFlight: 0, settledUntil: 16_000 });
    await test.clock.advance(4000);
    expect(test.files.paths().filter((path) => path.endsWith('.wal'))).toEqual([]);
    expect(test.loads).toBeGreaterThan(8);
  });

  it.each(['turn', 'power'] as const)(
    'keeps only a few of many files open, and opens them again to read (journalSync %s)',
    async (sync) => {
      const files = new MemoryFiles();
      const test = new JournalUnderTest(files, { reads: true, sync }, 8 * MIB);
      test.channel.storeIn(test.journal.store, () => test.loads++);
      let most = 0;
      files.onOperation = () => (most = Math.max(most, files.openFiles));
      await fill(test, 40);
      expect(test.journal.files).toBeGreaterThan(4);
      expect(files.openFiles).toBe(1);
      expect(await drain(test)).toBe(0);
      expect(files.operations.filter((each) => each === 'openToRead').length).toBeGreaterThan(4);
      expect(most).toBeLessThan(4);
      test.journal.close();
      await test.clock.turn();
      expect(files.openFiles).toBe(0);
    },
  );

  it('takes entries while it returns older ones', async () => {
    const test = diskTest();
    await fill(test, 12);
    for (let i = 0; i < 12; i++) {
      await fill(test, 1);
      const batch = test.channel.take(900);
      if (batch !== undefined) test.channel.settle(batch);
      await test.clock.advance(100);
    }
    await drain(test);
    expect(test.channel.settledUntil).toBe(24_000);
  });

  it('reports that it is full before the journal reaches journalMaxBytes', async () => {
    const test = diskTest(96 * MIB);
    expect(await fill(test, 50)).toBeGreaterThan(0);
    expect(test.channel.saturation).toBe(1);
    expect(test.journal.state).toBe('writing');
    expect(test.journal.bytes).toBeLessThan(96 * MIB);
    expect(test.channel.hasRoom(1)).toBe(false);
    const { tail } = test.channel;
    await drain(test);
    await test.clock.advance(3000);
    expect(test.channel.saturation).toBeLessThan(0.5);
    expect(await fill(test, 1)).toBe(0);
    expect(test.channel.tail).toBe(tail + ROUND);
  });

  it('has the bounds of a channel without a journal while the journal can’t be written', async () => {
    const test = diskTest();
    test.files.refuse = (operation) =>
      operation.startsWith('write') ? fileError('EIO') : undefined;
    expect(await fill(test, 10)).toBeGreaterThan(0);
    expect(test.channel.depth).toBeLessThan(6000);
    test.files.refuse = () => undefined;
    await test.clock.advance(6000);
    expect(await fill(test, 10)).toBe(0);
    await drain(test);
  });

  it('returns rows from the files of a folder that another process adopted', async () => {
    const test = diskTest();
    await fill(test, 12);
    const folder = test.journal.store.place;
    test.files.rename(folder, `${folder}.adopted-00000001`);
    await test.clock.advance(1000);
    await fill(test, 5);
    await drain(test);
    expect(test.channel.settledUntil).toBe(17_000);
    await test.clock.advance(5000);
    test.journal.close();
    expect(test.files.openFiles).toBe(0);
  });

  it('tries again if the file system refuses to read', async () => {
    const test = diskTest();
    await fill(test, 12);
    let failures = 2;
    test.files.refuse = (operation) =>
      operation === 'read' && failures-- > 0 ? fileError('EIO') : undefined;
    while (test.channel.isReady) test.channel.settle(test.channel.take(500)!);
    await test.clock.advance(3000);
    await drain(test);
    expect(test.channel.settledUntil).toBe(12_000);
    expect(test.lines.some((line) => line.includes("can't be read back"))).toBe(true);
  });

  it.each(['EMFILE', 'ENOMEM'])('tries again for as long as the process has %s', async (code) => {
    const test = diskTest();
    await fill(test, 12);
    test.files.refuse = (operation) => (operation === 'read' ? fileError(code) : undefined);
    while (test.channel.isReady) test.channel.settle(test.channel.take(500)!);
    await test.clock.advance(60_000);
    expect(test.channel.lostIn).toBeUndefined();
    test.files.refuse = () => undefined;
    await test.clock.advance(1000);
    expect(await drain(test)).toBe(0);
    expect(test.channel.settledUntil).toBe(12_000);
  });

  it('leaves rows without a copy in memory on disk at the end', async () => {
    const test = diskTest();
    await fill(test, 12);
    test.journal.leave();
    let stored = 0;
    while (test.channel.depth > 0) {
      const { channel } = test;
      const isReady = channel.isReady;
      const batch = isReady ? channel.take(1000)! : channel.takeStored();
      if (!isReady) stored += batch.count;
      channel.settle(batch);
    }
    expect(stored).toBeGreaterThan(2000);
    expect(test.channel).toMatchObject({ bytes: 0, inFlight: 0 });
    test.journal.close();
    expect(test.files.paths().some((path) => path.endsWith('/released'))).toBe(true);
  });

  it('continues after a damaged frame, and sets its file aside', async () => {
    const test = diskTest();
    await fill(test, 12);
    const path = `${FOLDER}/000001.wal`;
    test.files.flip(path, 9 * MIB + 5000);
    const lost = await drain(test);
    expect(lost).toBeGreaterThan(0);
    expect(lost).toBeLessThan(ROUND);
    expect(test.channel).toMatchObject({ bytes: 0, waitingBytes: 0, inFlight: 0 });
    expect(test.channel.settledUntil).toBe(12_000);
    const told = test.lines.map((line) => damagedLine.exec(line)).filter((each) => each !== null);
    expect(told.map((each) => each[2])).toEqual(told.map(() => path));
    expect(told.reduce((sum, each) => sum + Number(each[1]), 0)).toBe(lost);
    await test.clock.advance(4000);
    const segments = test.files.paths().filter((each) => each.includes('.wal'));
    expect(segments).toEqual([`${path}.damaged`]);
    expect(test.files.contentOf(`${path}.damaged`).length).toBeGreaterThan(16 * MIB);
    test.journal.close();
    expect(test.files.paths()).toContain(`${path}.damaged`);
  });

  it.each([
    { bytes: 'a header', at: (start: number) => start + 3 },
    { bytes: 'a length', at: (start: number) => start + 8 },
    { bytes: 'a row', at: (start: number) => start + 500 },
  ])('returns every other row if $bytes is damaged', async ({ at }) => {
    const test = diskTest();
    await fill(test, 12);
    const path = `${FOLDER}/000001.wal`;
    const starts = frameStarts(test.files.contentOf(path));
    const start = starts.find((each) => each > 10 * MIB)!;
    test.files.flip(path, at(start));
    const lost = await drain(test);
    expect(lost).toBeGreaterThan(0);
    expect(lost).toBeLessThan(ROUND);
    expect(test.channel.settledUntil).toBe(12_000);
  });

  it('loses only rows after the cut if a file is truncated', async () => {
    const test = diskTest();
    await fill(test, 12);
    test.files.cut(`${FOLDER}/000001.wal`, 12 * MIB);
    const lost = await drain(test);
    expect(lost).toBeGreaterThan(ROUND);
    expect(lost).toBeLessThan(3 * ROUND);
    expect(test.channel).toMatchObject({ bytes: 0, settledUntil: 12_000 });
  });

  it('leaves rows on disk that can never be read, and continues', async () => {
    const test = diskTest();
    await fill(test, 12);
    test.files.refuse = (operation) => (operation === 'read' ? fileError('EIO') : undefined);
    while (test.channel.isReady) test.channel.settle(test.channel.take(500)!);
    let lost = 0;
    for (let second = 0; second < 60 && test.channel.depth > 0; second++) {
      await test.clock.advance(1000);
      lost += await drainReady(test);
    }
    expect(lost).toBeGreaterThan(ROUND);
    expect(test.channel).toMatchObject({ bytes: 0, inFlight: 0, depth: 0, settledUntil: 12_000 });
    await test.clock.advance(3000);
    expect(test.files.paths().some((each) => each.endsWith('.wal.damaged'))).toBe(true);
  });

  it('reports lost rows if the folder was removed', async () => {
    const test = diskTest();
    await fill(test, 40);
    const kept = test.journal.files;
    for (const path of test.files.paths()) test.files.unlinkNow(path);
    test.files.removeFolder(FOLDER);
    let lost = 0;
    for (let second = 0; second < 300 && test.channel.depth > 0; second++) {
      await test.clock.advance(1000);
      expect(test.channel.isGone).toBe(test.channel.lostIn !== undefined);
      lost += await drainReady(test);
    }
    expect(kept).toBeGreaterThan(4);
    expect(lost).toBeGreaterThan(20 * ROUND);
    expect(test.channel).toMatchObject({ bytes: 0, inFlight: 0, depth: 0, settledUntil: 40_000 });
    const said = test.lines.filter((line) => line.includes('entries are lost'));
    expect(said.length).toBeGreaterThan(0);
    expect(test.lines.some((line) => line.includes('they stay there'))).toBe(false);
  });

  it('works with the smallest possible memory', async () => {
    const test = diskTest(2 ** 32, MIB);
    expect(await fill(test, 12)).toBe(0);
    const batch = test.channel.take(300)!;
    expect(await fill(test, 3)).toBe(0);
    test.channel.settle(batch);
    await drain(test);
    expect(test.channel.settledUntil).toBe(15_000);
  });

  it('is bounded by memory while a slow disk takes no more, and returns all accepted rows', async () => {
    const test = diskTest();
    let writes = 0;
    test.files.onOperation = (operation) => {
      if (operation.startsWith('write') && ++writes === 5) test.clock.skip(30);
    };
    await fill(test, 3);
    expect(test.journal.state).toBe('asynchronous');
    let go = (): void => undefined;
    test.files.hold = new Promise((resolve) => (go = resolve));
    const refused = await fill(test, 12);
    expect(refused).toBeGreaterThan(0);
    expect(test.channel.saturation).toBeGreaterThan(0.9);
    expect(test.journal.reason).toBeUndefined();
    go();
    test.files.hold = undefined;
    await test.clock.turn();
    expect(test.channel.saturation).toBeLessThan(0.8);
    expect(await fill(test, 3)).toBe(0);
    expect(await drain(test)).toBe(0);
    expect(test.channel.settledUntil).toBe(18 * ROUND - refused);
  });

  it('leaves room in memory for new rows when the journal fails, with any number of rows on disk', async () => {
    const test = new JournalUnderTest(new MemoryFiles(), { reads: true }, 8 * MIB, 2000);
    test.channel.storeIn(test.journal.store, () => test.loads++);
    expect(await fill(test, 12)).toBe(0);
    test.files.refuse = (operation) =>
      operation.startsWith('write') ? fileError('ENOSPC') : undefined;
    expect(await fill(test, 5)).toBe(3 * ROUND);
    expect(test.channel.saturation).toBe(1);
    test.files.refuse = () => undefined;
    await test.clock.advance(6000);
    expect(test.channel.saturation).toBeLessThan(0.8);
    expect(await fill(test, 1)).toBe(0);
    expect(await drain(test)).toBe(0);
    expect(test.channel.settledUntil).toBe(15_000);
  });

  it('is empty, and not half full, at the smallest possible journalMaxBytes', () => {
    expect(diskTest(64 * MIB).channel.saturation).toBe(0);
  });
});
