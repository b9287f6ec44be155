import { existsSync, mkdirSync, rmSync, writeFileSync } from 'node:fs';
import { readdir, utimes } from 'node:fs/promises';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { realTimers } from '../clock/real-timers.js';
import type { LedgerTable } from '../entry/ledger-definition.js';
import { assertConservation, PLAIN_TABLE, start } from '../testing/ledger-under-test.js';
import {
  hasReplayed,
  RecoveryBench,
  RUN,
  until,
  uuidsOf,
} from './fixtures/recovery-bench.fixture.js';
import { rowsOfRun } from './fixtures/run-folder.fixture.js';
import type { Recovery } from './recovery.js';

const KEEP_MS = 3_600_000;

let bench: RecoveryBench;
beforeEach(async () => {
  bench = await RecoveryBench.make();
});
afterEach(() => bench.end());

describe('a recovery', () => {
  it('is not stopped by half an owner record of its own, as a full disk leaves one', async () => {
    const rows = rowsOfRun(PLAIN_TABLE, RUN, 3);
    const path = bench.folder({ files: [[rows]] });
    writeFileSync(join(path, 'owner.json.00000001'), '{"ledger"');
    const test = bench.ledger();
    await start(test);
    await until(test, () => bench.isEmpty());
    expect([...test.sink.rows.keys()].sort()).toEqual(uuidsOf(rows).sort());
    assertConservation(test.ledger.stats());
  });

  it('writes the rows of all other files where one can not be read, which stays', async () => {
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
    expect((test.ledger.recovery as Recovery).torn).toBe(1);
    assertConservation(test.ledger.stats());
  });

  it('leaves the file of rows in flight where the process exits, though promises go on behind it', async () => {
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

  it('never unlinks rows that fit no column with the settled files that were kept', async () => {
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
});
