import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { FOLDER, JournalUnderTest, RUN } from './fixtures/journal-under-test.fixture.js';
import { fileError } from './fixtures/memory-files.fixture.js';
import { readJournal } from './fixtures/read-journal.fixture.js';

let dir: string;
beforeEach(async () => {
  dir = await mkdtemp(join(tmpdir(), 'ledger-journal-folder-'));
});
afterEach(() => rm(dir, { recursive: true, force: true }));

describe('the folder of a journal', () => {
  it('is given up if another process has renamed it: unsettled rows go to a new folder', async () => {
    const test = new JournalUnderTest();
    test.append(6);
    await test.clock.turn();
    test.settle(2);
    test.files.rename(FOLDER, `${FOLDER}.adopted-00000001`);
    // A process that was suspended for long: its next write comes before its next beat.
    test.clock.skip(15_000);
    test.append(1);
    const wait = test.waitForLast();
    await test.clock.turn();
    expect(wait.end).toBe('durable');
    const names = test.files.paths().filter((path) => path.includes(`${RUN}-2/`));
    expect(names).toHaveLength(2);
    await test.files.store(dir);
    const { rows } = await readJournal(join(dir, `/journal/default/${RUN}-2`));
    expect([...rows.keys()]).toEqual([2, 3, 4, 5, 6]);
    expect(test.lines).toHaveLength(1);
  });

  it('is given up at the next beat, if nothing is written', async () => {
    const test = new JournalUnderTest();
    test.append(2);
    await test.clock.turn();
    test.files.rename(FOLDER, `${FOLDER}.adopted-00000001`);
    await test.clock.advance(1000);
    expect(test.files.paths()).toContain(`/journal/default/${RUN}-2/000001.wal`);
  });

  it('gets its owner record back at the next beat after a removal', async () => {
    const test = new JournalUnderTest();
    test.append(1);
    await test.clock.turn();
    test.settle(1);
    await test.clock.advance(3000);
    test.owner = '{"run":"0000002a","target":{}}';
    await test.clock.advance(1000);
    test.files.unlinkNow(`${FOLDER}/owner.json`);
    await test.clock.advance(1000);
    expect(test.journal.state).toBe('writing');
    expect(test.lines).toEqual([]);
    expect(test.files.contentOf(`${FOLDER}/owner.json`).toString()).toBe(test.owner);
    test.files.unlinkNow(`${FOLDER}/owner.json`);
    test.journal.close();
    expect(test.files.paths()).toEqual([]);
  });

  it('gets it back once a full disk has room again, despite remains of earlier tries', async () => {
    const test = new JournalUnderTest();
    test.append(1);
    await test.clock.turn();
    test.settle(1);
    await test.clock.advance(3000);
    test.files.unlinkNow(`${FOLDER}/owner.json`);
    test.files.refuse = (operation) => (operation === 'write' ? fileError('ENOSPC') : undefined);
    await test.clock.advance(3000);
    expect(test.journal.state).toBe('degraded');
    test.files.refuse = () => undefined;
    await test.clock.advance(12_000);
    expect(test.journal.state).toBe('writing');
    expect(test.files.contentOf(`${FOLDER}/owner.json`).toString()).toBe(test.owner);
  });

  it('has the whole record of its owner, also where a write stores only a part', async () => {
    const test = new JournalUnderTest();
    test.files.maxWriteBytes = 5;
    test.append(1);
    await test.clock.turn();
    expect(test.journal.state).toBe('writing');
    expect(test.files.contentOf(`${FOLDER}/owner.json`).toString()).toBe(test.owner);
  });

  it('is checked again after a write longer than a beat, before anything is reported as durable', async () => {
    const test = new JournalUnderTest();
    test.append(1);
    await test.clock.turn();
    test.append(1);
    test.files.onOperation = (operation) => {
      if (operation !== 'write') return;
      test.files.onOperation = () => undefined;
      // Suspended between the check and the write, and adopted meanwhile.
      test.clock.skip(20_000);
      test.files.rename(FOLDER, `${FOLDER}.adopted-00000001`);
    };
    const wait = test.waitForLast();
    await test.clock.turn();
    expect(wait.end).toBe('durable');
    await test.files.store(dir);
    const { rows } = await readJournal(join(dir, `/journal/default/${RUN}-2`));
    expect([...rows.keys()]).toEqual([0, 1]);
  });

  it('is removed at the end even if the thread pool is still unlinking a file', async () => {
    const test = new JournalUnderTest();
    test.append(2);
    await test.clock.turn();
    test.settle(2);
    let go = (): void => undefined;
    test.files.hold = new Promise((resolve) => (go = resolve));
    await test.clock.advance(4000);
    expect(test.files.operations).toContain('unlink');
    test.journal.close();
    expect(test.files.identityOf(FOLDER)).toBeUndefined();
    go();
    await test.clock.turn();
    expect(test.files.paths()).toEqual([]);
  });
});
