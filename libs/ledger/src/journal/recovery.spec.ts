import { renameSync } from 'node:fs';
import { readdir } from 'node:fs/promises';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { assertConservation, PLAIN_TABLE, start } from '../testing/ledger-under-test.js';
import {
  hasReplayed,
  RecoveryBench,
  RUN,
  until,
  uuidsOf,
} from './fixtures/recovery-bench.fixture.js';
import { rowsOfRun } from './fixtures/run-folder.fixture.js';

let bench: RecoveryBench;
beforeEach(async () => {
  bench = await RecoveryBench.make();
});
afterEach(() => bench.end());

describe('Recovery', () => {
  it('writes the rows of an ended run, each once, and removes its folder', async () => {
    const rows = rowsOfRun(PLAIN_TABLE, RUN, 100);
    bench.folder({ files: [[rows.slice(0, 30), rows.slice(30, 60)], [rows.slice(60)]] });
    const test = bench.ledger({ batchSize: 25 });
    await start(test);
    await until(test, () => hasReplayed(test));
    expect(await bench.isEmpty()).toBe(true);
    expect([...test.sink.rows.keys()].sort()).toEqual(uuidsOf(rows).sort());
    expect(test.ledger.stats()).toMatchObject({
      ...{ queued: 0, recovered: 100, written: 100, duplicate: 0, inFlight: 0 },
      batches: { recovered: 5 },
    });
    assertConservation(test.ledger.stats());
  });

  it('leaves out rows that a settled frame covers, even within a frame', async () => {
    const rows = rowsOfRun(PLAIN_TABLE, RUN, 10);
    bench.folder({
      files: [
        [rows.slice(0, 5), { settled: 3 }],
        [rows.slice(5), { settled: 7 }, { settled: 6 }],
      ],
    });
    const test = bench.ledger();
    await start(test);
    await until(test, () => bench.isEmpty());
    expect([...test.sink.rows.keys()].sort()).toEqual(uuidsOf(rows.slice(7)).sort());
    expect(test.ledger.stats()).toMatchObject({ recovered: 3, written: 3 });
    assertConservation(test.ledger.stats());
  });

  it('takes the last settled frame of the last file, also after a million files', async () => {
    const rows = rowsOfRun(PLAIN_TABLE, RUN, 10);
    const path = bench.folder({
      files: [
        [rows.slice(0, 5), { settled: 3 }],
        [rows.slice(5), { settled: 7 }],
      ],
    });
    renameSync(join(path, '000001.wal'), join(path, '999999.wal'));
    renameSync(join(path, '000002.wal'), join(path, '1000000.wal'));
    const test = bench.ledger();
    await start(test);
    await until(test, () => bench.isEmpty());
    expect([...test.sink.rows.keys()].sort()).toEqual(uuidsOf(rows.slice(7)).sort());
    assertConservation(test.ledger.stats());
  });

  it('counts rows that are already in the table as duplicates', async () => {
    const rows = rowsOfRun(PLAIN_TABLE, RUN, 4);
    bench.folder({ files: [[rows]] });
    const before = bench.ledger();
    await start(before);
    await until(before, () => bench.isEmpty());
    bench.folder({ files: [[rows]] });
    await until(before, () => before.ledger.stats().recovered === 8);
    await until(before, () => bench.isEmpty());
    expect(before.ledger.stats()).toMatchObject({ written: 4, duplicate: 4 });
    assertConservation(before.ledger.stats());
  });

  it('waits while the channel is half full, and leaves its rows in the files at a stop', async () => {
    const rows = rowsOfRun(PLAIN_TABLE, RUN, 10);
    bench.folder({ files: [[rows]] });
    const test = bench.ledger({
      batchSize: 2,
      bufferSize: 10,
      numWorkers: 1,
      shutdownTimeoutMs: 1000,
    });
    await start(test);
    test.sink.hold();
    for (let i = 0; i < 9; i++) test.ledger.intake.offer({ userId: 1 });
    await until(test, async () => (await readdir(bench.dir))[0] !== '000000a1');
    await test.clock.advance(1000);
    expect(test.ledger.stats()).toMatchObject({ recovered: 0, inFlight: 2, depth: 7 });
    // Six are left, then four: below half.
    for (let i = 0; i < 2; i++) {
      test.sink.held.shift()!.release();
      await test.clock.advance(1500);
    }
    expect(test.ledger.stats()).toMatchObject({ recovered: 0, depth: 3 });
    test.sink.hold(false);
    for (const held of test.sink.held.splice(0)) held.release();
    await until(test, () => bench.isEmpty());
    expect(test.ledger.stats()).toMatchObject({ recovered: 10, written: 19, depth: 0 });
    assertConservation(test.ledger.stats());
  });

  it('counts rows in flight as spilled at the drain deadline, and the next start replays them', async () => {
    const rows = rowsOfRun(PLAIN_TABLE, RUN, 6);
    bench.folder({ files: [[rows]] });
    const test = bench.ledger({ batchSize: 3, shutdownTimeoutMs: 1000 });
    await start(test);
    test.sink.hold();
    await until(test, () => test.ledger.stats().recovered > 0);
    const stopped = test.ledger.shutdown.finish();
    await until(test, () => test.ledger.stats().inFlight === 0);
    await stopped;
    await test.ledger.recovery?.close();
    const { recovered, spilled } = test.ledger.stats();
    expect(spilled).toBe(recovered);
    expect(test.spilled).toEqual([]);
    assertConservation(test.ledger.stats());
    const next = bench.ledger();
    await start(next);
    await until(next, () => bench.isEmpty());
    expect(next.sink.rows.size).toBe(6);
    assertConservation(next.ledger.stats());
  });

  it('keeps a refused row as a dead letter', async () => {
    const rows = rowsOfRun(PLAIN_TABLE, RUN, 3);
    bench.folder({ files: [[rows]] });
    const test = bench.ledger();
    test.sink.refuse(uuidsOf(rows)[1]!);
    await start(test);
    await until(test, () => bench.isEmpty());
    expect(test.ledger.stats()).toMatchObject({ recovered: 3, written: 2, deadLettered: 1 });
    expect(test.letters.map(({ uuid }) => uuid)).toEqual([uuidsOf(rows)[1]]);
    assertConservation(test.ledger.stats());
  });

  it('does not delay a flush of new entries by old ones', async () => {
    const rows = rowsOfRun(PLAIN_TABLE, RUN, 3);
    bench.folder({ files: [[rows]] });
    const test = bench.ledger({ numWorkers: 2, batchSize: 10 });
    await start(test);
    test.sink.hold();
    await until(test, () => test.ledger.stats().inFlight === 3);
    test.sink.hold(false);
    test.ledger.intake.offer({ userId: 1 });
    const flushed = test.ledger.writer.flush(60_000);
    await test.clock.advance(1500);
    expect(await flushed).toBe(true);
    expect(test.ledger.stats()).toMatchObject({ inFlight: 3, written: 1 });
    for (const held of test.sink.held.splice(0)) held.release();
    await until(test, () => bench.isEmpty());
    assertConservation(test.ledger.stats());
  });
});
