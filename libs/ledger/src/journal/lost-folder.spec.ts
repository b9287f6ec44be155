import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { FOLDER, JournalUnderTest, RUN } from './fixtures/journal-under-test.fixture.js';
import { fileError } from './fixtures/memory-files.fixture.js';
import { readJournal } from './fixtures/read-journal.fixture.js';

let dir: string;
beforeEach(async () => {
  dir = await mkdtemp(join(tmpdir(), 'ledger-lost-folder-'));
});
afterEach(() => rm(dir, { recursive: true, force: true }));

/** Positions of the rows in the run's second folder. */
async function inSecond(test: JournalUnderTest): Promise<number[]> {
  await test.files.store(dir);
  const { rows } = await readJournal(join(dir, `/journal/default/${RUN}-2`));
  return [...rows.keys()].sort((a, b) => a - b);
}

function take(test: JournalUnderTest): void {
  test.files.rename(FOLDER, `${FOLDER}.adopted-00000001`);
}

/** The system's error for every operation in the lost folder. */
function answerGone(test: JournalUnderTest, code: string): void {
  test.files.refuse = (operation, path) => {
    const isOfIt = path === FOLDER || path.startsWith(`${FOLDER}/`);
    return isOfIt && operation !== 'close' ? fileError(code) : undefined;
  };
}

describe('a folder that is gone', () => {
  it.each(['ENOENT', 'ESTALE'])(
    'is lost, and not a fault of the disk: %s at a write',
    async (code) => {
      const test = new JournalUnderTest();
      test.append(3);
      await test.clock.turn();
      test.settle(1);
      take(test);
      answerGone(test, code);
      test.append(1);
      const wait = test.waitForLast();
      await test.clock.turn();
      expect(wait.end).toBe('durable');
      expect(test.journal.state).toBe('writing');
      expect(await inSecond(test)).toEqual([1, 2, 3]);
      expect(test.lines).toEqual([expect.stringContaining('no longer belongs to this process')]);
    },
  );

  it.each(['ENOENT', 'ESTALE'])('is lost in the thread pool too: %s', async (code) => {
    const test = new JournalUnderTest();
    test.append(1);
    await test.clock.turn();
    test.files.onOperation = (operation) => void (operation === 'write' && test.clock.skip(30));
    test.append(1);
    await test.clock.turn();
    test.files.onOperation = () => undefined;
    take(test);
    answerGone(test, code);
    test.append(1);
    const wait = test.waitForLast();
    await test.clock.turn();
    expect(wait.end).toBe('durable');
    expect(test.journal.state).not.toBe('degraded');
    expect(await inSecond(test)).toEqual([0, 1, 2]);
  });

  it.each(['ENOENT', 'ESTALE'])('is lost at a beat too: %s', async (code) => {
    const test = new JournalUnderTest();
    test.append(2);
    await test.clock.turn();
    take(test);
    answerGone(test, code);
    await test.clock.advance(1000);
    expect(test.journal.state).toBe('writing');
    expect(await inSecond(test)).toEqual([0, 1]);
  });

  it('reports a fault if the parent folder of the journal is gone too', async () => {
    const test = new JournalUnderTest();
    test.append(1);
    await test.clock.turn();
    test.files.refuse = (operation) => (operation === 'close' ? undefined : fileError('ESTALE'));
    test.append(1);
    await test.clock.turn();
    expect(test.journal).toMatchObject({ state: 'degraded', reason: 'ESTALE' });
  });
});

describe('a journal that loses its folder', () => {
  it('keeps no memory of settled rows while it is degraded', async () => {
    const test = new JournalUnderTest();
    test.append(2);
    await test.clock.turn();
    test.files.refuse = (operation) => (operation === 'write' ? fileError('ENOSPC') : undefined);
    test.append(1);
    await test.clock.turn();
    expect(test.journal.state).toBe('degraded');
    take(test);
    await test.clock.advance(1000);
    test.append(2000, 'm'.repeat(8000));
    test.settle(2003);
    expect(test.channel.rowsFrom(0)).toEqual([]);
  });

  it('writes a row after the seal to a new folder, if the old one was adopted meanwhile', async () => {
    const test = new JournalUnderTest();
    test.append(2);
    await test.clock.turn();
    test.files.onOperation = (operation) => {
      if (operation !== 'write') return;
      test.files.onOperation = () => undefined;
      test.clock.skip(20_000);
      take(test);
    };
    const late = { slices: [test.rows[0]!], count: 1, position: 2 };
    expect(test.journal.keep(late)).toBe(`/journal/default/${RUN}-2/000001.wal`);
    expect(await inSecond(test)).toContain(2);
  });

  it('reports that earlier rows may be in the table', async () => {
    const test = new JournalUnderTest();
    test.append(3);
    await test.clock.turn();
    expect(test.journal.mayExistUntil).toBe(0);
    take(test);
    await test.clock.advance(1000);
    test.append(2);
    await test.clock.turn();
    expect(test.journal.mayExistUntil).toBe(3);
  });
});
