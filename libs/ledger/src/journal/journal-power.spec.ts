import * as fc from 'fast-check';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { FOLDER, JournalUnderTest } from './fixtures/journal-under-test.fixture.js';
import { fileError, MemoryFiles } from './fixtures/memory-files.fixture.js';
import { readJournal } from './fixtures/read-journal.fixture.js';

/** Number of random histories; `npm run soak -- power` uses more, with its own seeds. */
const DRAWN = Number(process.env['LEDGER_POWER_CRASHES'] ?? 150);
const SEED = Number(process.env['LEDGER_FAULTS_SEED'] ?? 0);
/** A file for the counts, as JSON. */
const COUNTS = process.env['LEDGER_SOAK_COUNTS'];

let dir: string;
beforeEach(async () => {
  dir = await mkdtemp(join(tmpdir(), 'ledger-journal-power-'));
});
afterEach(() => rm(dir, { recursive: true, force: true }));

function powerTest(files = new MemoryFiles()): JournalUnderTest {
  return new JournalUnderTest(files, { sync: 'power' });
}

/** Rows that survive a power loss, by position. */
async function survivors(test: JournalUnderTest, name = 'a'): Promise<Map<number, Buffer>> {
  await test.files.store(join(dir, name), 'power');
  return (await readJournal(dir)).rows;
}

describe("journalSync 'power'", () => {
  it('reports nothing before file and folders are synced', async () => {
    const test = powerTest();
    let go = (): void => undefined;
    test.files.hold = new Promise((resolve) => (go = resolve));
    test.append(2);
    const wait = test.waitForLast();
    await test.clock.turn();
    expect(wait.end).toBeUndefined();
    expect(test.journal.durableUntil).toBe(0);
    go();
    await test.clock.turn();
    expect(wait.end).toBe('durable');
    expect(await survivors(test)).toHaveProperty('size', 2);
  });

  it('syncs all rows written during a sync in one more pass, for any number of turns', async () => {
    const test = powerTest();
    test.append(1);
    await test.clock.turn();
    let go = (): void => undefined;
    test.files.hold = new Promise((resolve) => (go = resolve));
    for (let i = 0; i < 20; i++) {
      test.append(1);
      await test.clock.turn();
    }
    go();
    test.files.hold = undefined;
    await test.clock.turn();
    expect(test.journal.durableUntil).toBe(21);
    expect(test.files.operations.filter((each) => each === 'sync')).toHaveLength(3);
  });

  it('never syncs a file again after a failed sync, and writes its rows to a new one', async () => {
    const test = powerTest();
    test.append(2);
    await test.clock.turn();
    test.files.refuse = (operation) => (operation === 'sync' ? fileError('EIO') : undefined);
    test.append(2);
    const wait = test.waitForLast();
    await test.clock.turn();
    expect(wait.end).toBe('degraded');
    expect(test.journal).toMatchObject({ state: 'degraded', durableUntil: 2 });
    const failed: string[] = [];
    test.files.refuse = (operation, path) => {
      if (operation === 'sync') failed.push(path);
      return undefined;
    };
    await test.clock.advance(5000);
    expect(failed.every((path) => path.endsWith('000002.wal'))).toBe(true);
    expect(test.journal).toMatchObject({ state: 'writing', durableUntil: 4 });
    const rows = await survivors(test);
    expect([...rows.keys()].sort()).toEqual([0, 1, 2, 3]);
  });

  it('never syncs a file that was given up during a write in the thread pool', async () => {
    const test = powerTest();
    test.files.onOperation = (operation) => void (operation === 'write' && test.clock.skip(30));
    test.append(1);
    await test.clock.turn();
    test.files.onOperation = () => undefined;
    let go = (): void => undefined;
    test.files.hold = new Promise((resolve) => (go = resolve));
    test.append(1);
    await test.clock.turn();
    test.files.refuse = (operation) => (operation === 'touch' ? fileError('EIO') : undefined);
    await test.clock.advance(1000);
    expect(test.journal.state).toBe('degraded');
    go();
    test.files.hold = undefined;
    test.files.refuse = () => undefined;
    await test.clock.advance(6000);
    expect(test.journal).toMatchObject({ durableUntil: 2, reason: undefined });
    expect([...(await survivors(test)).keys()].sort()).toEqual([0, 1]);
    test.journal.close();
    expect(test.files.openFiles).toBe(0);
  });

  it('syncs a row after the seal before it answers', async () => {
    const test = powerTest();
    test.append(1);
    await test.clock.turn();
    test.journal.leave();
    expect(test.journal.keep({ slices: [test.rows[0]!], count: 1, position: 1 })).toBeDefined();
    expect(await survivors(test)).toHaveProperty('size', 2);
  });

  describe('a sync in progress at the end', () => {
    /** A journal with rows whose sync never ends. */
    async function syncing(): Promise<JournalUnderTest> {
      const test = powerTest();
      test.append(2);
      await test.clock.turn();
      test.files.hold = new Promise(() => undefined);
      test.append(3);
      await test.clock.turn();
      expect(test.journal.durableUntil).toBe(2);
      return test;
    }

    it('is ignored: a stop writes and syncs its rows once more', async () => {
      const test = await syncing();
      const wait = test.waitForLast();
      expect(test.journal.leave()).toBeDefined();
      expect(wait.end).toBe('durable');
      expect([...(await survivors(test)).keys()].sort()).toEqual([0, 1, 2, 3, 4]);
    });

    it('is ignored for a row after the seal, and for the folders', async () => {
      const test = powerTest();
      test.files.hold = new Promise(() => undefined);
      test.append(1);
      await test.clock.turn();
      const late = { slices: [test.rows[0]!], count: 1, position: 1 };
      expect(test.journal.keep(late)).toMatch(/000002\.wal$/);
      expect([...(await survivors(test)).keys()]).toEqual([1]);
    });

    it('is ignored if it is the sync of the folder', async () => {
      const test = powerTest();
      test.files.refuse = (operation) => {
        if (operation === 'syncFolder') test.files.hold = new Promise(() => undefined);
        return undefined;
      };
      test.append(1);
      await test.clock.turn();
      const late = { slices: [test.rows[0]!], count: 1, position: 1 };
      expect(test.journal.keep(late)).toBeDefined();
      expect([...(await survivors(test)).keys()]).toEqual([0, 1]);
    });

    it('does not keep a stop from its answer if it fails', async () => {
      const test = powerTest();
      test.append(2);
      await test.clock.turn();
      let go = (): void => undefined;
      test.files.hold = new Promise((resolve) => (go = resolve));
      test.append(3);
      await test.clock.turn();
      const synced: string[] = [];
      test.files.refuse = (operation, path) => {
        if (operation === 'syncNow') synced.push(path);
        return undefined;
      };
      expect(test.journal.leave()).toBeDefined();
      expect(synced).toEqual([expect.stringMatching(/000002\.wal$/)]);
      test.files.refuse = (operation) => (operation === 'sync' ? fileError('EIO') : undefined);
      go();
      await test.clock.turn();
      expect(test.journal).toMatchObject({ state: 'writing', durableUntil: 5 });
      test.journal.close();
      expect((await survivors(test)).size).toBe(5);
    });
  });

  it('syncs the folders above that were made for a failed one', async () => {
    const test = powerTest();
    let failures = 1;
    test.files.refuse = (operation) =>
      operation === 'write' && failures-- > 0 ? fileError('EIO') : undefined;
    test.append(1);
    await test.clock.turn();
    expect(test.files.paths()).toEqual([]);
    await test.clock.advance(5000);
    expect(test.journal).toMatchObject({ state: 'writing', durableUntil: 1 });
    expect([...(await survivors(test)).keys()]).toEqual([0]);
  });

  it('syncs them for the next folder if the first one is lost before their sync', async () => {
    const test = powerTest();
    let go = (): void => undefined;
    test.files.hold = new Promise((resolve) => (go = resolve));
    test.append(1);
    await test.clock.turn();
    test.files.hold = undefined;
    test.files.rename(FOLDER, `${FOLDER}.adopted-00000001`);
    await test.clock.advance(1000);
    go();
    test.append(1);
    await test.clock.advance(1000);
    expect(test.journal.durableUntil).toBe(2);
    expect([...(await survivors(test)).keys()]).toEqual([0, 1]);
  });

  it(
    'loses no durable row, whenever the power goes',
    async () => {
      const step = fc.oneof(
        { weight: 5, arbitrary: fc.record({ append: fc.integer({ min: 1, max: 40 }) }) },
        { weight: 3, arbitrary: fc.constant({ turn: true }) },
        { weight: 1, arbitrary: fc.record({ settle: fc.double({ min: 0, max: 1, noNaN: true }) }) },
        { weight: 1, arbitrary: fc.record({ second: fc.constant(true) }) },
        { weight: 2, arbitrary: fc.record({ hold: fc.boolean() }) },
        { weight: 1, arbitrary: fc.record({ fail: fc.constantFrom('sync', 'write', 'create') }) },
      );
      const drawn = fc.record({
        steps: fc.array(step, { minLength: 5, maxLength: 40 }),
        crashAfter: fc.integer({ min: 1, max: 60 }),
        large: fc.boolean(),
      });
      let crashes = 0;
      let entries = 0;
      await fc.assert(
        fc.asyncProperty(drawn, async ({ steps, crashAfter, large }) => {
          const test = powerTest();
          const durable = new Set<number>();
          const settled = new Set<number>();
          let operations = 0;
          let tooEarly = false;
          let atCrash: { dir: string; durable: number[] } | undefined;
          const stores: Promise<void>[] = [];
          let release = (): void => undefined;
          test.files.onOperation = () => {
            if (++operations !== crashAfter) return;
            const place = join(dir, String(crashes++));
            atCrash = { dir: place, durable: [...durable].filter((each) => !settled.has(each)) };
            stores.push(test.files.store(place, 'power'));
          };
          for (const each of steps) {
            if ('append' in each) {
              test.append(each.append, large ? 'p'.repeat(8000) : 'p');
              const position = test.channel.tail - 1;
              test.durables.join(position, 60_000, (end) => {
                if (end !== 'durable') return;
                // The waiter may act on the answer now, so the row must already be safe.
                const isSafe = position < test.channel.settledUntil;
                tooEarly ||= !isSafe && !test.files.surviving.includes(test.rows[position]!);
                for (let i = 0; i <= position; i++) durable.add(i);
              });
            } else if ('settle' in each) {
              const count = Math.floor(test.channel.depth * each.settle);
              for (let i = 0; i < count; i++) settled.add(test.channel.head + i);
              test.settle(count);
            } else if ('hold' in each) {
              release();
              test.files.hold = each.hold
                ? new Promise((resolve) => (release = resolve))
                : undefined;
            } else if ('second' in each) {
              await test.clock.advance(1000);
            } else if ('fail' in each) {
              let failures = 1;
              test.files.refuse = (operation) =>
                operation === each.fail && failures-- > 0 ? fileError('EIO') : undefined;
            } else {
              await test.clock.turn();
            }
          }
          await Promise.all(stores);
          expect(tooEarly).toBe(false);
          if (atCrash === undefined) return;
          const { rows } = await readJournal(atCrash.dir).catch(() => ({
            rows: new Map<number, Buffer>(),
          }));
          entries += atCrash.durable.length;
          for (const position of atCrash.durable) {
            expect(rows.get(position)?.equals(test.rows[position]!), `row ${position}`).toBe(true);
          }
        }),
        // fast-check prints the seed of a failed run.
        { numRuns: DRAWN, verbose: true, ...(SEED > 0 && { seed: SEED }) },
      );
      if (COUNTS !== undefined) {
        await writeFile(COUNTS, JSON.stringify({ done: crashes, entries, lost: 0 }));
      }
      expect(crashes).toBeGreaterThan(DRAWN / 8);
    },
    60_000 + DRAWN * 400,
  );
});
