import { describe, expect, it } from 'vitest';
import { FOLDER, JournalUnderTest, RUN } from './fixtures/journal-under-test.fixture.js';
import { fileError, MemoryFiles } from './fixtures/memory-files.fixture.js';

describe('a journal after a promotion of its server', () => {
  it('hands all rows over for a replay', async () => {
    const test = new JournalUnderTest(new MemoryFiles(), { keepMs: 60_000 });
    const server = { systemIdentifier: 7n, timeline: 1 };
    test.journal.noteServer(server);
    test.append(10);
    await test.clock.turn();
    test.settle(8);
    await test.clock.advance(1000);
    test.journal.noteServer({ ...server });
    expect(test.files.paths()).toEqual([`${FOLDER}/000001.wal`, `${FOLDER}/owner.json`]);
    test.journal.noteServer({ ...server, timeline: 2 });
    const given = `${FOLDER}.adopted-${RUN}`;
    expect(test.files.paths()).toEqual([
      ...['000001.wal', 'owner.json'].map((name) => `${FOLDER}-2/${name}`),
      ...['000001.wal', 'owner.json', 'replay-all'].map((name) => `${given}/${name}`),
    ]);
    expect(test.lines.join()).toContain('moved from timeline 1 to timeline 2');
    // Rows that wait for a worker are also in the new folder and still belong to the journal.
    test.append(1);
    await test.clock.turn();
    expect(test.journal.state).toBe('writing');
    expect(test.journal.durableUntil).toBe(11);
  });

  it('hands them over later if the file system refuses', async () => {
    const test = new JournalUnderTest(new MemoryFiles(), { keepMs: 60_000 });
    test.journal.noteServer({ systemIdentifier: 7n, timeline: 1 });
    test.append(3);
    await test.clock.turn();
    test.files.refuse = (operation) => (operation === 'rename' ? fileError('EIO') : undefined);
    const promoted = { systemIdentifier: 7n, timeline: 2 };
    test.journal.noteServer(promoted);
    expect(test.journal.state).toBe('degraded');
    // Files that stay here must not claim that the new server has their rows.
    expect(test.journal.servers.current.timeline).toBe(1);
    test.files.refuse = () => undefined;
    await test.clock.advance(7000);
    test.journal.noteServer(promoted);
    expect(test.journal.servers.current).toBe(promoted);
    expect(test.files.paths()).toContain(`${FOLDER}.adopted-${RUN}/replay-all`);
    expect(test.journal.state).toBe('writing');
  });

  it.each([false, true])('keeps no file open after handing it over (reads: %s)', async (reads) => {
    const test = new JournalUnderTest(new MemoryFiles(), { keepMs: 60_000, reads });
    for (let timeline = 1; timeline <= 5; timeline++) {
      test.journal.noteServer({ systemIdentifier: 7n, timeline });
      test.append(10);
      await test.clock.turn();
      test.settle(10);
      await test.clock.advance(2000);
    }
    expect(test.files.openFiles).toBe(1);
    test.journal.close();
    expect(test.files.openFiles).toBe(0);
  });

  it('leaves the replay to the next start after a stop', async () => {
    const test = new JournalUnderTest(new MemoryFiles(), { keepMs: 60_000 });
    test.journal.noteServer({ systemIdentifier: 7n, timeline: 1 });
    test.append(3);
    await test.clock.turn();
    expect(test.journal.leave()).toBe(FOLDER);
    test.journal.noteServer({ systemIdentifier: 7n, timeline: 2 });
    test.journal.close();
    expect(test.journal.servers.current.timeline).toBe(1);
    expect(test.files.paths()).toContain(`${FOLDER}/released`);
  });
});
