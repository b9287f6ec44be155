import { readdir, utimes } from 'node:fs/promises';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import {
  assertConservation,
  PLAIN_TABLE,
  start,
  type LedgerUnderTest,
} from '../testing/ledger-under-test.js';
import { RecoveryBench, RUN, until, uuidsOf } from './fixtures/recovery-bench.fixture.js';
import { rowsOfRun } from './fixtures/run-folder.fixture.js';

const OLD = { systemIdentifier: 7n, timeline: 1 };
const PROMOTED = { systemIdentifier: 7n, timeline: 2 };
const rows = rowsOfRun(PLAIN_TABLE, RUN, 10);
const uuids = uuidsOf(rows).sort();
const KEPT = { journalKeepMs: 3_600_000 };

let bench: RecoveryBench;
beforeEach(async () => {
  bench = await RecoveryBench.make();
});
afterEach(() => bench.end());

/** The only folder, after its adoption by a run. */
async function adopted(): Promise<string | undefined> {
  const [name] = await readdir(bench.dir);
  return name?.includes('.adopted-') ? join(bench.dir, name) : undefined;
}

/** Makes a ledger that has adopted and read files of settled rows. */
async function keepFiles(count = 1): Promise<LedgerUnderTest> {
  const files = Array.from({ length: count }, (_, index) => {
    return [rows, { settled: 10 * (index + 1), server: OLD }] as const;
  });
  bench.folder({ files });
  bench.server = OLD;
  const test = bench.ledger(KEPT);
  await start(test);
  await until(test, adopted);
  await test.clock.advance(5000);
  expect(test.ledger.stats().recovered).toBe(0);
  return test;
}

describe('settled rows', () => {
  it('are written again after a promotion: rows that the server has are duplicates', async () => {
    bench.folder({ files: [[rows.slice(0, 4)]] });
    const test = bench.ledger();
    await start(test);
    await until(test, () => bench.isEmpty());
    bench.folder({ files: [[rows, { settled: 7, server: OLD }]] });
    bench.server = PROMOTED;
    const words = 'compared 10 entries of the journal of run';
    await until(test, () => test.lines.join().includes(words));
    expect(await bench.isEmpty()).toBe(true);
    expect([...test.sink.rows.keys()].sort()).toEqual(uuids);
    expect(test.ledger.stats()).toMatchObject({ recovered: 14, written: 10, duplicate: 4 });
    assertConservation(test.ledger.stats());
  });

  it.each([
    ['the server is still the same', OLD, OLD],
    ['their server is unknown', { systemIdentifier: 0n, timeline: 0 }, PROMOTED],
    ['the present server is unknown', OLD, { systemIdentifier: 0n, timeline: 0 }],
  ])('are left out if %s', async (_, before, now) => {
    bench.folder({ files: [[rows, { settled: 7, server: before }]] });
    bench.server = now;
    const test = bench.ledger();
    await start(test);
    await until(test, () => bench.isEmpty());
    expect(test.ledger.stats()).toMatchObject({ recovered: 3, written: 3 });
    assertConservation(test.ledger.stats());
  });

  it('are kept, and written again after a promotion', async () => {
    const test = await keepFiles();
    expect(await readdir((await adopted())!)).toContain('000001.wal');
    bench.server = PROMOTED;
    await until(test, () => test.ledger.stats().written === 10);
    expect([...test.sink.rows.keys()].sort()).toEqual(uuids);
    // They are kept further, because the next promotion may lose them too.
    await test.clock.advance(5000);
    bench.server = { ...PROMOTED, timeline: 3 };
    await until(test, () => test.ledger.stats().duplicate === 10);
    expect(test.ledger.stats()).toMatchObject({ recovered: 20, written: 10, duplicate: 10 });
    assertConservation(test.ledger.stats());
  });

  it('are removed after their keeping time', async () => {
    const test = await keepFiles();
    const file = join((await adopted())!, '000001.wal');
    const before = new Date(test.clock.now() - KEPT.journalKeepMs - 1);
    await utimes(file, before, before);
    await until(test, () => bench.isEmpty());
    bench.server = PROMOTED;
    await test.clock.advance(5000);
    expect(test.ledger.stats()).toMatchObject({ recovered: 0, written: 0 });
  });

  it('are removed, oldest first, if they take too much room', async () => {
    const test = await keepFiles(2);
    bench.maxBytes = 0;
    const next = bench.ledger(KEPT);
    await test.ledger.recovery?.close();
    await start(next);
    await until(next, () => bench.isEmpty());
    expect(next.ledger.stats()).toMatchObject({ recovered: 0 });
  });

  it('are left to the next run at a stop, which writes them again if necessary', async () => {
    const test = await keepFiles();
    await test.ledger.recovery?.close();
    bench.server = PROMOTED;
    const next = bench.ledger(KEPT);
    await start(next);
    await until(next, () => next.ledger.stats().written === 10);
    expect([...next.sink.rows.keys()].sort()).toEqual(uuids);
    assertConservation(next.ledger.stats());
  });
});
