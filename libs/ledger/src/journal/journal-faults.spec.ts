import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { FOLDER, JournalUnderTest } from './fixtures/journal-under-test.fixture.js';
import { fileError, MemoryFiles, type FileOperation } from './fixtures/memory-files.fixture.js';
import { readJournal } from './fixtures/read-journal.fixture.js';

let dir: string;
beforeEach(async () => {
  dir = await mkdtemp(join(tmpdir(), 'ledger-journal-faults-'));
});
afterEach(() => rm(dir, { recursive: true, force: true }));

/** Positions of the rows on file, after a check that each row is unchanged. */
async function positions(test: JournalUnderTest): Promise<number[]> {
  await test.files.store(dir);
  const { rows, damaged } = await readJournal(dir);
  expect(damaged).toEqual([]);
  for (const [position, row] of rows) expect(row.equals(test.rows[position]!)).toBe(true);
  return [...rows.keys()].sort((a, b) => a - b);
}

const range = (from: number, to: number): number[] =>
  Array.from({ length: to - from }, (_, index) => from + index);

function refuseWrites(files: MemoryFiles, code: string): void {
  const refused: FileOperation[] = ['write', 'writeMany', 'writeLater'];
  files.refuse = (operation) => (refused.includes(operation) ? fileError(code) : undefined);
}

describe.each(['ENOSPC', 'EIO', 'EROFS'])('a file system that answers %s', (code) => {
  it('makes the journal degraded; rows in memory go to a new file once writes succeed', async () => {
    const test = new JournalUnderTest();
    test.append(2);
    await test.clock.turn();
    refuseWrites(test.files, code);
    test.append(2);
    const wait = test.waitForLast();
    await test.clock.turn();
    expect(wait.end).toBe('degraded');
    expect(test.journal).toMatchObject({ state: 'degraded', reason: code, durableUntil: 2 });
    test.append(3);
    await test.clock.advance(12_000);
    test.files.refuse = () => undefined;
    test.append(1);
    await test.clock.advance(5000);
    expect(test.journal).toMatchObject({ state: 'writing', durableUntil: 8 });
    expect(await positions(test)).toEqual(range(0, 8));
    expect(test.lines).toEqual([
      expect.stringMatching(`^the journal can't be written \\(${code}\\): entries are in memory`),
      expect.stringMatching(code),
      expect.stringMatching(code),
      expect.stringMatching(/^the journal can be written again after 1\d\.0s$/),
    ]);
  });

  it('keeps no memory of rows settled meanwhile, and does not write them', async () => {
    const test = new JournalUnderTest();
    refuseWrites(test.files, code);
    test.append(10);
    await test.clock.turn();
    test.settle(10);
    expect(test.channel.rowsFrom(0)).toEqual([]);
    test.append(2);
    test.files.refuse = () => undefined;
    await test.clock.advance(6000);
    expect(await positions(test)).toEqual([10, 11]);
  });

  it('is retried every five seconds from the start, even without a row to write', async () => {
    const test = new JournalUnderTest();
    refuseWrites(test.files, code);
    test.journal.degrade(fileError(code));
    expect(test.journal).toMatchObject({ state: 'degraded', reason: code });
    await test.clock.advance(12_000);
    expect(test.journal.state).toBe('degraded');
    test.files.refuse = () => undefined;
    await test.clock.advance(5000);
    expect(test.journal.state).toBe('writing');
    expect(test.lines).toEqual([
      ...Array.from({ length: 3 }, () => expect.stringMatching(`can't be written \\(${code}\\)`)),
      expect.stringMatching(/^the journal can be written again after 1\d\.0s$/),
    ]);
    test.append(2);
    await test.clock.turn();
    expect(await positions(test)).toEqual([0, 1]);
    test.settle(2);
    test.journal.close();
    expect(test.files.paths()).toEqual([]);
  });

  it('leaves no folder of a failed try', async () => {
    const test = new JournalUnderTest();
    refuseWrites(test.files, code);
    test.append(1);
    await test.clock.advance(60_000);
    expect(test.files.paths()).toEqual([]);
    test.files.refuse = () => undefined;
    await test.clock.advance(5000);
    expect(await positions(test)).toEqual([0]);
    expect(test.files.openFiles).toBe(1);
  });
});

describe('a full disk', () => {
  it('leaves no half frame, so that earlier rows stay readable', async () => {
    const test = new JournalUnderTest();
    test.append(3);
    await test.clock.turn();
    test.files.maxWriteBytes = 50;
    let writes = 0;
    test.files.refuse = (operation) =>
      operation === 'write' && ++writes > 2 ? fileError('ENOSPC') : undefined;
    test.append(3);
    await test.clock.turn();
    expect(await positions(test)).toEqual([0, 1, 2]);
  });

  it('drains: files are unlinked while nothing can be written', async () => {
    const test = new JournalUnderTest();
    for (let i = 0; i < 50; i++) {
      test.append(100, 'z'.repeat(8000));
      await test.clock.turn();
    }
    refuseWrites(test.files, 'ENOSPC');
    test.append(1);
    await test.clock.turn();
    test.settle(5001);
    await test.clock.advance(1000);
    expect(test.files.paths().filter((path) => path.endsWith('.wal'))).toEqual([]);
  });

  it('is the same as a reached journalMaxBytes: entries are in memory only until files are unlinked', async () => {
    const test = new JournalUnderTest(new MemoryFiles(), { maxBytes: 2 ** 26 });
    for (let i = 0; i < 90; i++) {
      test.append(100, 'z'.repeat(8000));
      await test.clock.turn();
    }
    expect(test.journal).toMatchObject({
      state: 'degraded',
      reason: 'journalMaxBytes 67108864 is reached',
    });
    expect(test.journal.bytes).toBeLessThan(2 ** 26 + 2 ** 20);
    test.settle(9000);
    await test.clock.advance(6000);
    test.append(1);
    await test.clock.turn();
    expect(test.journal).toMatchObject({ state: 'writing', durableUntil: 9001 });
  });
});

describe('a stop while the file system refuses', () => {
  it('tries once more, and reports if no file has the rows', async () => {
    const test = new JournalUnderTest();
    refuseWrites(test.files, 'EIO');
    test.append(4);
    await test.clock.turn();
    expect(test.journal.leave()).toBeUndefined();
    test.files.refuse = () => undefined;
    expect(test.journal.leave()).toBe(FOLDER.replace('2a', '2a-3'));
    test.journal.close();
    expect(await positions(test)).toEqual(range(0, 4));
    expect(test.clock.pendingTimers).toBe(0);
  });
});

describe('a slow disk', () => {
  /** Duration of a write on the event loop. */
  function slowDown(test: JournalUnderTest, ms: number, each = 1): void {
    let writes = 0;
    test.files.onOperation = (operation) => {
      if (operation === 'write' && ++writes % each === 0) test.clock.skip(ms);
    };
  }

  it.each([
    { what: 'one write above 20 ms', ms: 21, each: 1, rounds: 1 },
    { what: 'more than one in a hundred above 1 ms', ms: 2, each: 50, rounds: 1000 },
  ])(
    'is written to in the thread pool for a minute after $what',
    async ({ ms, each, rounds }) => {
      const test = new JournalUnderTest();
      test.append(1);
      await test.clock.turn();
      slowDown(test, ms, each);
      for (let i = 0; i < rounds; i++) {
        test.append(1);
        await test.clock.turn();
      }
      expect(test.journal.state).toBe('asynchronous');
      test.files.onOperation = () => undefined;
      test.append(3);
      const wait = test.waitForLast();
      await test.clock.turn();
      expect(wait.end).toBe('durable');
      expect(test.files.operations).toContain('writeLater');
      await test.clock.advance(60_000);
      expect(test.journal.state).toBe('writing');
      test.append(1);
      await test.clock.turn();
      expect(await positions(test)).toEqual(range(0, test.rows.length));
    },
    60_000,
  );

  it.each([
    { sync: 'turn', words: 'for a minute' },
    { sync: 'entry', words: "journalSync 'entry' demands" },
  ] as const)('is logged in one line with journalSync $sync, and counted', async (given) => {
    const test = new JournalUnderTest(new MemoryFiles(), { sync: given.sync });
    test.append(1);
    await test.clock.turn();
    slowDown(test, 25);
    for (let i = 0; i < 5; i++) {
      test.append(1);
      await test.clock.turn();
    }
    expect(test.lines).toEqual([expect.stringContaining(given.words)]);
    expect(test.lines[0]).toContain('took 25.0 ms');
    expect(test.journal.pace.slowWrites).toBe(given.sync === 'entry' ? 5 : 1);
  });

  describe("with journalSync 'entry'", () => {
    const entryTest = (): JournalUnderTest => {
      return new JournalUnderTest(new MemoryFiles(), { sync: 'entry' });
    };

    it('is waited for: each entry is on file when record() returns', async () => {
      const test = entryTest();
      slowDown(test, 30);
      for (let i = 1; i <= 10; i++) {
        test.append(1);
        expect(test.journal.durableUntil).toBe(i);
        expect(test.journal.state).toBe('writing');
      }
      expect(await positions(test)).toEqual(range(0, 10));
      expect(test.files.operations).not.toContain('writeLater');
    });

    it('reports that entries are on file later while rows in memory are written after a fault', async () => {
      const test = entryTest();
      test.append(1);
      refuseWrites(test.files, 'ENOSPC');
      test.append(2);
      test.files.refuse = () => undefined;
      let go = (): void => undefined;
      test.files.hold = new Promise((resolve) => (go = resolve));
      await test.clock.advance(6000);
      test.append(1);
      const wait = test.waitForLast();
      expect(test.journal).toMatchObject({ state: 'asynchronous', durableUntil: 1 });
      await test.clock.turn();
      expect(wait.end).toBeUndefined();
      test.files.hold = undefined;
      go();
      await test.clock.turn();
      expect(wait.end).toBe('durable');
      expect(test.journal.state).toBe('writing');
      test.append(1);
      expect(test.journal.durableUntil).toBe(5);
      expect(await positions(test)).toEqual(range(0, 5));
    });
  });

  it('keeps the memory of rows being written, and of later ones', async () => {
    const test = new JournalUnderTest();
    test.append(1);
    await test.clock.turn();
    slowDown(test, 30);
    test.append(1);
    await test.clock.turn();
    let go = (): void => undefined;
    test.files.hold = new Promise((resolve) => (go = resolve));
    test.append(2);
    await test.clock.turn();
    test.append(2);
    test.settle(6);
    expect(test.channel.rowsFrom(2)).toHaveLength(1);
    // A released slab would be overwritten.
    test.append(20, 'w'.repeat(8000));
    go();
    await test.clock.turn();
    expect(await positions(test)).toEqual(range(0, 26));
  });

  it('counts the bytes of a file that was set aside during a write', async () => {
    const test = new JournalUnderTest();
    test.append(1);
    await test.clock.turn();
    slowDown(test, 30);
    test.append(1);
    await test.clock.turn();
    test.files.onOperation = () => undefined;
    let go = (): void => undefined;
    test.files.hold = new Promise((resolve) => (go = resolve));
    test.append(500, 'b'.repeat(1000));
    await test.clock.turn();
    expect(test.journal.leave()).toBe(FOLDER);
    go();
    await test.clock.turn();
    await test.clock.advance(1000);
    const files = test.files.paths().filter((path) => path.endsWith('.wal'));
    const bytes = files.reduce((sum, path) => sum + test.files.contentOf(path).length, 0);
    expect(test.journal.bytes).toBe(bytes);
  });

  it('loses nothing at a stop: rows being written are written once more', async () => {
    const test = new JournalUnderTest();
    test.append(1);
    await test.clock.turn();
    slowDown(test, 30);
    test.append(1);
    await test.clock.turn();
    test.files.hold = new Promise(() => undefined);
    test.append(2);
    await test.clock.turn();
    test.append(1);
    expect(test.journal.leave()).toBe(FOLDER);
    test.journal.close();
    expect(await positions(test)).toEqual(range(0, 5));
  });
});
