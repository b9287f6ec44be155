import { readFileSync, truncateSync, writeFileSync } from 'node:fs';
import { readdir, rename, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { realTimers } from '../clock/real-timers.js';
import { assertConservation, PLAIN_TABLE, start } from '../testing/ledger-under-test.js';
import {
  ELSEWHERE,
  RecoveryBench,
  RUN,
  TARGET,
  until,
  uuidsOf,
} from './fixtures/recovery-bench.fixture.js';
import { rowsOfRun } from './fixtures/run-folder.fixture.js';

let bench: RecoveryBench;
beforeEach(async () => {
  bench = await RecoveryBench.make();
});
afterEach(() => bench.end());

describe('adoption', () => {
  it('waits until an owner on another machine has given no sign of life for 10 s', async () => {
    const rows = rowsOfRun(PLAIN_TABLE, RUN, 3);
    const path = bench.folder({ files: [[rows]], author: ELSEWHERE });
    const test = bench.ledger();
    await start(test);
    for (let i = 0; i < 30; i++) {
      writeFileSync(join(path, 'beat'), String(i).repeat(i));
      await until(test, () => true);
      await test.clock.advance(1000);
      for (let turn = 0; turn < 20; turn++) await realTimers.turn();
    }
    expect(await readdir(bench.dir)).toEqual(['000000a1']);
    const before = test.clock.monotonic();
    await rm(join(path, 'beat'));
    await until(test, () => bench.isEmpty());
    expect(test.clock.monotonic() - before).toBeGreaterThan(10_000);
    expect(test.sink.rows.size).toBe(3);
    assertConservation(test.ledger.stats());
  });

  it('takes a released folder at once, from any owner', async () => {
    bench.folder({
      files: [[rowsOfRun(PLAIN_TABLE, RUN, 3)]],
      author: ELSEWHERE,
      isReleased: true,
    });
    const test = bench.ledger();
    await start(test);
    await until(test, () => bench.isEmpty(), 0);
    expect(test.ledger.stats()).toMatchObject({ recovered: 3, written: 3 });
    assertConservation(test.ledger.stats());
  });

  it('leaves a folder of another database alone, and logs it once', async () => {
    bench.folder({ files: [[rowsOfRun(PLAIN_TABLE, RUN, 3)]], target: { ...TARGET, id: 'two' } });
    const test = bench.ledger();
    await start(test);
    const said = (): string[] => test.lines.filter((line) => line.includes('to another database'));
    await until(test, () => said().length > 0);
    await test.clock.advance(60_000);
    expect(await readdir(bench.dir)).toEqual(['000000a1']);
    expect(test.sink.rows.size).toBe(0);
    expect(said()).toHaveLength(1);
    assertConservation(test.ledger.stats());
  });

  it('gives each row to one of two concurrent adopters, and loses none', async () => {
    const all: string[] = [];
    for (let run = 1; run <= 20; run++) {
      const rows = rowsOfRun(PLAIN_TABLE, run, 50);
      all.push(...uuidsOf(rows));
      bench.folder({ run: run.toString(16).padStart(8, 'f'), files: [[rows]] });
    }
    const [one, two] = [bench.ledger(), bench.ledger()];
    await Promise.all([start(one), start(two)]);
    await until([one, two], () => bench.isEmpty());
    const written = [...one.sink.rows.keys(), ...two.sink.rows.keys()];
    expect(written.sort()).toEqual(all.sort());
    for (const test of [one, two]) assertConservation(test.ledger.stats());
  });

  it('replays a folder without a record of its new owner, as on a full disk', async () => {
    const path = bench.folder({ files: [[rowsOfRun(PLAIN_TABLE, RUN, 3)]] });
    const test = bench.ledger();
    // The temporary name of the record is taken.
    writeFileSync(join(path, 'owner.json.00000001'), '');
    await start(test);
    await until(test, () => bench.isEmpty());
    expect(test.ledger.stats()).toMatchObject({ recovered: 3, written: 3 });
    assertConservation(test.ledger.stats());
  });

  it('takes over from an adopter that was killed before it wrote its record', async () => {
    const path = bench.folder({ files: [[rowsOfRun(PLAIN_TABLE, RUN, 3)]] });
    const adopted = join(bench.dir, '000000a1.adopted-bbbbbbbb');
    await rename(path, adopted);
    writeFileSync(join(adopted, 'owner.json.bbbbbbbb'), '{"led');
    const test = bench.ledger();
    await start(test);
    await until(test, () => bench.isEmpty());
    expect(test.ledger.stats()).toMatchObject({ recovered: 3, written: 3 });
    assertConservation(test.ledger.stats());
  });

  it('leaves a folder of its own run to the process that adopted it, until that process is gone', async () => {
    const test = bench.ledger();
    // The first ledger of the bench is run 1: its process was suspended, and continues now.
    const rows = rowsOfRun(PLAIN_TABLE, 1, 3);
    const path = bench.folder({ run: 'bbbbbbbb', files: [[rows]], author: ELSEWHERE });
    const adopted = join(bench.dir, '00000001.adopted-bbbbbbbb');
    await rename(path, adopted);
    await start(test);
    for (let i = 0; i < 20; i++) {
      writeFileSync(join(adopted, 'beat'), String(i).repeat(i));
      await until(test, () => true);
      await test.clock.advance(1000);
      for (let turn = 0; turn < 20; turn++) await realTimers.turn();
    }
    expect(await readdir(bench.dir)).toEqual(['00000001.adopted-bbbbbbbb']);
    expect(test.ledger.stats().recovered).toBe(0);
    await rm(join(adopted, 'beat'));
    await until(test, () => bench.isEmpty());
    expect(test.ledger.stats()).toMatchObject({ recovered: 3, written: 3 });
    assertConservation(test.ledger.stats());
  });

  it('takes over from an adopter that has ended', async () => {
    const rows = rowsOfRun(PLAIN_TABLE, RUN, 3);
    const path = bench.folder({ run: 'bbbbbbbb', files: [[rows]] });
    await rename(path, join(bench.dir, '000000a1.adopted-bbbbbbbb'));
    const test = bench.ledger();
    await start(test);
    await until(test, () => bench.isEmpty());
    expect(test.sink.rows.size).toBe(3);
    assertConservation(test.ledger.stats());
  });

  it('reads rows that a suspended owner adds to the file after the adoption', async () => {
    const rows = rowsOfRun(PLAIN_TABLE, RUN, 6);
    const path = bench.folder({ files: [[rows.slice(0, 3), rows.slice(3)]], author: ELSEWHERE });
    const file = join(path, '000001.wal');
    const whole = readFileSync(file);
    truncateSync(file, whole.length - 10);
    const test = bench.ledger();
    await start(test);
    await until(test, () => test.sink.rows.size === 3);
    const [adopted] = await readdir(bench.dir);
    writeFileSync(join(bench.dir, adopted!, '000001.wal'), whole);
    await until(test, () => bench.isEmpty());
    expect([...test.sink.rows.keys()].sort()).toEqual(uuidsOf(rows).sort());
    assertConservation(test.ledger.stats());
  });
});
