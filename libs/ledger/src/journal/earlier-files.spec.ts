import { statSync } from 'node:fs';
import { readdir, utimes } from 'node:fs/promises';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { assertConservation, PLAIN_TABLE, start } from '../testing/ledger-under-test.js';
import { RecoveryBench, RUN, TARGET, until } from './fixtures/recovery-bench.fixture.js';
import { rowsOfRun } from './fixtures/run-folder.fixture.js';
import { JournalUnderTest } from './fixtures/journal-under-test.fixture.js';
import { MemoryFiles } from './fixtures/memory-files.fixture.js';
import { ownIdentity } from './process-identity.js';

const MIB = 1_048_576;
const MEMO = 'd'.repeat(2000);

let bench: RecoveryBench;
beforeEach(async () => {
  bench = await RecoveryBench.make();
});
afterEach(() => bench.end());

const sizeOf = (path: string): number =>
  ['000001.wal', '000002.wal'].reduce((sum, name) => sum + statSync(join(path, name)).size, 0);

describe('files of earlier runs', () => {
  it('are counted before the first contact with the server, and written after it', async () => {
    const rows = rowsOfRun(PLAIN_TABLE, RUN, 6);
    const files = [rows.slice(0, 3), rows.slice(3)].map((each) => [each]);
    const target = { ...TARGET, address: 'here' };
    const own = bench.folder({ run: '000000a1', files, target });
    const another = bench.folder({ run: '000000a2', files, target });
    bench.folder({ run: '000000a3', files, target: { ...target, address: 'there' } });
    const alive = bench.folder({ run: '000000a4', files, target, author: ownIdentity() });
    bench.target = { ...TARGET, id: undefined, address: 'here' };
    const test = bench.ledger();
    await test.ledger.recovery!.watch!();
    expect(bench.earlier.bytes).toBe(sizeOf(own) + sizeOf(another));
    expect((await readdir(bench.dir)).join()).not.toContain('adopted');
    bench.target = target;
    await start(test);
    // A slow disk may take more than the ten seconds after which a silent owner counts as gone.
    let signs = 0;
    await until(test, async () => {
      await utimes(join(alive, 'owner.json'), 1, ++signs);
      return (await readdir(bench.dir)).length === 2 && bench.earlier.bytes === 0;
    });
    expect(test.ledger.stats()).toMatchObject({ recovered: 12, depth: 0, inFlight: 0 });
    assertConservation(test.ledger.stats());
  });

  it('count less with each written file during a replay', async () => {
    const rows = rowsOfRun(PLAIN_TABLE, RUN, 6);
    const path = bench.folder({ files: [[rows.slice(0, 3)], [rows.slice(3)]] });
    const size = sizeOf(path);
    const test = bench.ledger({ batchSize: 3, numWorkers: 1 });
    await test.ledger.recovery!.watch!();
    expect(bench.earlier.bytes).toBe(size);
    test.sink.hold();
    test.sink.hold();
    await start(test);
    await until(test, () => test.sink.held.length === 1);
    expect(bench.earlier.bytes).toBe(size);
    const second = statSync(join(`${path}.adopted-00000001`, '000002.wal')).size;
    test.sink.held[0]!.release();
    await until(test, () => bench.earlier.bytes === second && test.sink.held.length === 1);
    test.sink.hold(false);
    test.sink.held[0]!.release();
    await until(test, () => bench.earlier.bytes === 0);
    expect(test.ledger.stats().written).toBe(6);
    assertConservation(test.ledger.stats());
  });

  it('use room of journalMaxBytes: the journal is degraded until they are written', async () => {
    const test = new JournalUnderTest(new MemoryFiles(), { maxBytes: 64 * MIB });
    test.earlier.bytes = 50 * MIB;
    test.append(3);
    await test.clock.turn();
    expect(test.journal).toMatchObject({
      state: 'degraded',
      reason: `journalMaxBytes ${64 * MIB} is reached, ${50 * MIB} of them by earlier runs`,
      earlierBytes: 50 * MIB,
    });
    test.earlier.bytes = 40 * MIB;
    await test.clock.advance(6000);
    expect(test.journal).toMatchObject({ state: 'writing', durableUntil: 3 });
  });

  it("fill the room of overflow 'disk', without the drop of an entry that fits into memory", async () => {
    const options = { maxBytes: 96 * MIB, reads: true };
    const test = new JournalUnderTest(new MemoryFiles(), options, 64 * MIB, 2000);
    const { channel } = test;
    channel.storeIn(test.journal.store, () => test.loads++);
    test.earlier.bytes = 70 * MIB;
    test.append(1000, MEMO);
    await test.clock.turn();
    expect(channel.saturation).toBe(1);
    // Rows of earlier runs are written when the own rows leave time for it.
    expect(channel.ownSaturation).toBeLessThan(0.5);
    expect(channel.hasEntryRoom && channel.hasRoom(2100)).toBe(true);
    test.append(1000, MEMO);
    await test.clock.turn();
    expect(channel.hasRoom(2100)).toBe(false);
    test.earlier.bytes = 0;
    expect(channel.saturation).toBeLessThan(0.5);
    expect(channel.hasRoom(2100)).toBe(true);
  });

  it("leave entries up to bufferMaxBytes in memory with bufferSize 'auto', and the journal degraded", async () => {
    const options = { maxBytes: 96 * MIB, reads: true };
    const files = new MemoryFiles();
    const test = new JournalUnderTest(files, options, 16 * MIB, Number.POSITIVE_INFINITY);
    const { channel } = test;
    channel.storeIn(test.journal.store, () => test.loads++);
    test.earlier.bytes = 90 * MIB;
    for (let round = 0; channel.hasEntryRoom && channel.hasRoom(2100); round++) {
      test.append(500, MEMO);
      await test.clock.turn();
      expect(round).toBeLessThan(16);
    }
    expect(channel.tail).toBeGreaterThan(4000);
    expect(channel.saturation).toBe(1);
    expect(test.journal).toMatchObject({ state: 'degraded', durableUntil: 0 });
    test.earlier.bytes = 0;
    await test.clock.advance(6000);
    expect(test.journal).toMatchObject({ state: 'writing', durableUntil: channel.tail });
    test.append(1, MEMO);
    await test.clock.turn();
    expect(channel.hasEntryRoom && channel.hasRoom(2100)).toBe(true);
  });
});
