import { readFileSync, renameSync, truncateSync, writeFileSync } from 'node:fs';
import { readdir } from 'node:fs/promises';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
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

let bench: RecoveryBench;
beforeEach(async () => {
  bench = await RecoveryBench.make();
});
afterEach(() => bench.end());

describe('an incomplete segment', () => {
  it('is read up to its torn end', async () => {
    const rows = rowsOfRun(PLAIN_TABLE, RUN, 6);
    const path = bench.folder({ files: [[rows.slice(0, 3), rows.slice(3)]] });
    const file = join(path, '000001.wal');
    truncateSync(file, readFileSync(file).length - 1);
    const test = bench.ledger();
    await start(test);
    await until(test, () => hasReplayed(test));
    expect([...test.sink.rows.keys()].sort()).toEqual(uuidsOf(rows.slice(0, 3)).sort());
    expect(faultsOf(test)).toEqual({ torn: 1, damaged: 0 });
    expect(await bench.isEmpty()).toBe(true);
    assertConservation(test.ledger.stats());
  });

  it.each([
    ['empty', 0],
    ['within its magic', 5],
    ['within its description', 60],
  ])('is not damaged if a kill left it %s, before its first frame', async (_, bytes) => {
    const rows = rowsOfRun(PLAIN_TABLE, RUN, 3);
    const path = bench.folder({ files: [[rows], [rows]] });
    truncateSync(join(path, '000002.wal'), bytes);
    const test = bench.ledger();
    await start(test);
    await until(test, () => hasReplayed(test));
    await until(test, () => bench.isEmpty());
    expect(test.sink.rows.size).toBe(3);
    expect(faultsOf(test)).toEqual({ torn: 1, damaged: 0 });
    assertConservation(test.ledger.stats());
  });

  it.each([
    ['its last row', 1],
    ['its first frame too', 250],
  ])('is damaged if it lost %s, and another file follows', async (_, lost) => {
    const rows = rowsOfRun(PLAIN_TABLE, RUN, 9);
    const path = bench.folder({
      files: [
        [rows.slice(0, 3), rows.slice(3, 6)],
        [{ settled: 0 }, rows.slice(6)],
      ],
    });
    const file = join(path, '000001.wal');
    truncateSync(file, readFileSync(file).length - lost);
    const test = bench.ledger();
    await start(test);
    await until(test, () => hasReplayed(test));
    expect(faultsOf(test)).toEqual({ torn: 0, damaged: 1 });
    expect(test.lines.join('\n')).toContain('rows are missing before the next file');
    expect(await readdir(join(bench.dir, (await readdir(bench.dir))[0]!))).toContain(
      '000001.wal.damaged',
    );
    assertConservation(test.ledger.stats());
  });

  it('is not damaged if the lost row is settled', async () => {
    const rows = rowsOfRun(PLAIN_TABLE, RUN, 6);
    const path = bench.folder({ files: [[rows.slice(0, 3)], [{ settled: 3 }, rows.slice(3)]] });
    const file = join(path, '000001.wal');
    truncateSync(file, readFileSync(file).length - 1);
    const test = bench.ledger();
    await start(test);
    await until(test, () => hasReplayed(test));
    await until(test, () => bench.isEmpty());
    expect(test.sink.rows.size).toBe(3);
    expect(faultsOf(test)).toEqual({ torn: 1, damaged: 0 });
    assertConservation(test.ledger.stats());
  });

  it('is not damaged if the lost row is also in the next file', async () => {
    const rows = rowsOfRun(PLAIN_TABLE, RUN, 6);
    const path = bench.folder({ files: [[rows.slice(0, 3)]] });
    const again = bench.folder({ run: '000000a2', files: [[rows]] });
    renameSync(join(again, '000001.wal'), join(path, '000002.wal'));
    const file = join(path, '000001.wal');
    truncateSync(file, readFileSync(file).length - 1);
    const test = bench.ledger();
    await start(test);
    await until(test, () => hasReplayed(test));
    await until(test, () => bench.isEmpty());
    expect(test.sink.rows.size).toBe(6);
    expect(faultsOf(test)).toEqual({ torn: 1, damaged: 0 });
    assertConservation(test.ledger.stats());
  });

  it('is set aside after damage in the middle, once every whole frame is written', async () => {
    const rows = rowsOfRun(PLAIN_TABLE, RUN, 9);
    const path = bench.folder({
      files: [[rows.slice(0, 3), rows.slice(3, 6), rows.slice(6)], [rows.slice(0, 1)]],
    });
    const file = join(path, '000001.wal');
    const bytes = readFileSync(file);
    const at = bytes.indexOf(rows[4]!);
    bytes[at + 20]! ^= 1;
    writeFileSync(file, bytes);
    const test = bench.ledger();
    await start(test);
    await until(test, () => hasReplayed(test));
    expect([...test.sink.rows.keys()].sort()).toEqual(
      uuidsOf([...rows.slice(0, 3), ...rows.slice(6)]).sort(),
    );
    const [left] = await readdir(bench.dir);
    expect((await readdir(join(bench.dir, left!))).sort()).toEqual([
      '000001.wal.damaged',
      'owner.json',
    ]);
    expect(test.lines.join('\n')).toMatch(
      /part of a journal file can't be read \(damaged at byte \d+/,
    );
    expect(faultsOf(test)).toEqual({ torn: 0, damaged: 1 });
    assertConservation(test.ledger.stats());
  });

  it('is set aside if no part of it can be read', async () => {
    const path = bench.folder({ files: [[rowsOfRun(PLAIN_TABLE, RUN, 1)], []] });
    writeFileSync(join(path, '000002.wal'), 'not a segment');
    const test = bench.ledger();
    await start(test);
    await until(test, () => hasReplayed(test));
    expect(test.sink.rows.size).toBe(1);
    const [left] = await readdir(bench.dir);
    expect(await readdir(join(bench.dir, left!))).toContain('000002.wal.damaged');
    assertConservation(test.ledger.stats());
  });
});

describe('rows of another definition', () => {
  const wider: LedgerTable = { ...PLAIN_TABLE, columns: { model: 'text', retries: 'integer' } };

  it('are written with NULL if the definition has one more column', async () => {
    const rows = rowsOfRun(PLAIN_TABLE, RUN, 3);
    bench.folder({ files: [[rows]] });
    const test = bench.ledger({}, wider);
    await start(test);
    await until(test, () => bench.isEmpty());
    const [expected] = rowsOfRun(wider, RUN, 1);
    expect(test.sink.rows.get(uuidsOf(rows)[0]!)).toEqual(expected);
    assertConservation(test.ledger.stats());
  });

  it('are written if the definition lacks only columns without a value; others stay in the file', async () => {
    const rows = rowsOfRun(wider, RUN, 4, (index) => ({
      userId: 1,
      ...(index === 2 && { retries: 1 }),
    }));
    bench.folder({ table: wider, files: [[rows]] });
    const narrow = bench.ledger({}, { ...PLAIN_TABLE, columns: { model: 'text' } });
    await start(narrow);
    await until(narrow, () => hasReplayed(narrow));
    expect(narrow.sink.rows.size).toBe(3);
    expect(narrow.lines.join('\n')).toContain('WARNING: 1 entries in');
    await narrow.ledger.recovery?.close();
    assertConservation(narrow.ledger.stats());
    const again = bench.ledger({}, wider);
    await start(again);
    await until(again, () => bench.isEmpty());
    expect(again.sink.rows.size).toBe(4);
    assertConservation(again.ledger.stats());
  });
});
