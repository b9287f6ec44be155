import { existsSync, mkdirSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { readdir, utimes } from 'node:fs/promises';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { realTimers } from '../clock/real-timers.js';
import type { LedgerTable } from '../entry/ledger-definition.js';
import { assertConservation, PLAIN_TABLE, start } from '../testing/ledger-under-test.js';
import {
  faultsOf,
  hasReplayed,
  RecoveryBench,
  RUN,
  until,
  uuidsOf,
} from './fixtures/recovery-bench.fixture.js';
import { rowsOfRun } from './fixtures/run-folder.fixture.js';
import type { Recovery } from './recovery.js';

const KEEP_MS = 3_600_000;
const STEP_MS = 500;

let bench: RecoveryBench;
beforeEach(async () => {
  bench = await RecoveryBench.make();
});
afterEach(() => bench.end());

describe('a recovery', () => {
  it('is not stopped by its own incomplete owner record, as left by a full disk', async () => {
    const rows = rowsOfRun(PLAIN_TABLE, RUN, 3);
    const path = bench.folder({ files: [[rows]] });
    writeFileSync(join(path, 'owner.json.00000001'), '{"ledger"');
    const test = bench.ledger();
    await start(test);
    await until(test, () => bench.isEmpty());
    expect([...test.sink.rows.keys()].sort()).toEqual(uuidsOf(rows).sort());
    assertConservation(test.ledger.stats());
  });

  it('writes the rows of all other files if one cannot be read, and leaves that one', async () => {
    const rows = rowsOfRun(PLAIN_TABLE, RUN, 30);
    const path = bench.folder({ files: [[rows.slice(0, 10)], [], [rows.slice(10)]] });
    rmSync(join(path, '000002.wal'));
    mkdirSync(join(path, '000002.wal'));
    const test = bench.ledger();
    await start(test);
    await until(test, () => hasReplayed(test));
    await test.clock.advance(10_000);
    expect([...test.sink.rows.keys()].sort()).toEqual(uuidsOf(rows).sort());
    expect(test.ledger.stats()).toMatchObject({ recovered: 30, written: 30 });
    const [left] = await readdir(bench.dir);
    expect(await readdir(join(bench.dir, left!))).toEqual(['000002.wal', 'owner.json']);
    const said = test.lines.filter((line) => line.includes("can't be read (ENOTFILE)"));
    expect(said).toHaveLength(1);
    expect(faultsOf(test)).toEqual({ torn: 0, damaged: 1 });
    assertConservation(test.ledger.stats());
  });

  it("writes the rows of all other folders if one can't be read, and names it once", async () => {
    const rows = rowsOfRun(PLAIN_TABLE, RUN, 10);
    bench.folder({ files: [[rows]] });
    const unreadable = join(bench.dir, '0000abcd');
    symlinkSync('0000abcd', unreadable);
    const test = bench.ledger();
    await start(test);
    await until(test, () => hasReplayed(test));
    await test.clock.advance(10_000);
    expect([...test.sink.rows.keys()].sort()).toEqual(uuidsOf(rows).sort());
    const said = test.lines.filter((line) =>
      line.includes(`${unreadable} can't be replayed (ELOOP)`),
    );
    expect(said).toHaveLength(1);
    assertConservation(test.ledger.stats());
  });

  it('leaves the file of rows in flight when the process exits, even if promises continue after it', async () => {
    const rows = rowsOfRun(PLAIN_TABLE, RUN, 5);
    bench.folder({ files: [[rows]] });
    const test = bench.ledger();
    await start(test);
    test.sink.hold();
    await until(test, () => test.ledger.stats().inFlight === 5);
    test.ledger.exit.run();
    expect(test.ledger.stats()).toMatchObject({ recovered: 5, spilled: 5, inFlight: 0 });
    assertConservation(test.ledger.stats());
    for (let turn = 0; turn < 100; turn++) await realTimers.turn();
    await test.ledger.recovery?.close();
    const next = bench.ledger();
    await start(next);
    await until(next, () => next.ledger.stats().written === 5);
    expect([...next.sink.rows.keys()].sort()).toEqual(uuidsOf(rows).sort());
    assertConservation(next.ledger.stats());
  });

  it('never unlinks rows that fit no column together with kept settled files', async () => {
    const wider: LedgerTable = { ...PLAIN_TABLE, columns: { retries: 'integer' } };
    const all = rowsOfRun(wider, RUN, 6, (index) => ({
      userId: 1,
      ...(index === 5 && { retries: 1 }),
    }));
    bench.folder({ table: wider, files: [[all.slice(0, 3)], [all.slice(3)]] });
    const narrow = bench.ledger({ journalKeepMs: KEEP_MS });
    await start(narrow);
    await until(narrow, () => hasReplayed(narrow));
    const [left] = await readdir(bench.dir);
    const files = ['000001.wal', '000002.wal'].map((name) => join(bench.dir, left!, name));
    const before = new Date(narrow.clock.now() - KEEP_MS - 1);
    for (const file of files) await utimes(file, before, before);
    await until(narrow, () => !existsSync(files[0]!));
    await narrow.clock.advance(5000);
    await narrow.ledger.recovery?.close();
    assertConservation(narrow.ledger.stats());
    const again = bench.ledger({}, wider);
    await start(again);
    await until(again, () => bench.isEmpty());
    expect([...again.sink.rows.keys()]).toContain(uuidsOf(all)[5]);
    assertConservation(again.ledger.stats());
  });

  describe.each(['EROFS', 'EPERM'])('if the file system answers %s to an unlink', (code) => {
    it('replays the folder once, and retries its removal after growing pauses', async () => {
      const rows = rowsOfRun(PLAIN_TABLE, RUN, 6);
      bench.folder({ files: [[rows.slice(0, 3)], [rows.slice(3)]] });
      bench.refusal = code;
      const test = bench.ledger();
      await start(test);
      await until(test, () => test.lines.some((line) => line.includes("can't be removed")));
      const stats = test.ledger.stats();
      expect(stats).toMatchObject({ recovered: 6, written: 6, duplicate: 0 });
      expect((test.ledger.recovery as Recovery).stuck).toBe(2);
      const triedAt: number[] = [];
      let asked = bench.asked.length;
      await until(
        test,
        () => {
          if (bench.asked.length > asked) triedAt.push(test.clock.monotonic());
          asked = bench.asked.length;
          return triedAt.length === 5;
        },
        STEP_MS,
      );
      const pauses = triedAt.slice(1).map((at, index) => at - triedAt[index]!);
      // A try is seen up to one step late, and the disk may take any number of steps.
      const tooShort = pauses.filter((ms, index) => ms < 2000 * 2 ** index - STEP_MS);
      expect(tooShort).toEqual([]);
      expect(test.ledger.stats()).toMatchObject({ recovered: 6, duplicate: 0 });
      expect(test.lines.filter((line) => line.includes(code))).toHaveLength(1);

      bench.refusal = undefined;
      await until(test, () => (test.ledger.recovery as Recovery).stuck === 0, 5000);
      expect(await bench.isEmpty()).toBe(true);
      expect(test.lines.at(-1)).toContain('is removed now');
      assertConservation(test.ledger.stats());
    });

    it('leaves the folder to the next start, which finds its rows in the table', async () => {
      const rows = rowsOfRun(PLAIN_TABLE, RUN, 3);
      bench.folder({ files: [[rows]] });
      bench.refusal = code;
      const test = bench.ledger();
      await start(test);
      await until(test, () => test.lines.some((line) => line.includes("can't be removed")));
      await test.ledger.recovery?.close();
      bench.refusal = undefined;
      const next = bench.ledger();
      for (const [uuid, row] of test.sink.rows)
        (next.sink.rows as Map<string, Buffer>).set(uuid, row);
      await start(next);
      await until(next, () => bench.isEmpty());
      expect(next.ledger.stats()).toMatchObject({ recovered: 3, written: 0, duplicate: 3 });
      assertConservation(next.ledger.stats());
    });

    it('still removes other kept files', async () => {
      const rows = rowsOfRun(PLAIN_TABLE, RUN, 4);
      bench.folder({ files: [[rows.slice(0, 2)], [rows.slice(2)]] });
      const test = bench.ledger({ journalKeepMs: KEEP_MS });
      await start(test);
      await until(test, () => hasReplayed(test));
      const [name] = await readdir(bench.dir);
      const files = ['000001.wal', '000002.wal'].map((file) => join(bench.dir, name!, file));
      const before = new Date(test.clock.now() - KEEP_MS - 1);
      for (const file of files) await utimes(file, before, before);
      bench.refusal = code;
      await until(test, () => bench.asked.length >= 6);
      expect(new Set(bench.asked)).toEqual(new Set(files));
      expect(test.lines.filter((line) => line.includes(code))).toHaveLength(1);
      bench.refusal = undefined;
      await until(test, () => bench.isEmpty(), 5000);
      expect(test.ledger.stats()).toMatchObject({ recovered: 4, written: 4 });
      assertConservation(test.ledger.stats());
    });
  });
});
