import { afterEach, describe, expect, inject, it } from 'vitest';
import {
  openRollupBench,
  ownSchema,
  refreshFully,
  type RollupBench,
} from './fixtures/rollup-bench.fixture.js';
import { defineLedger } from '../define-ledger.js';
import type { UsageSummary } from '../ports/read-query.interface.js';
import { partitionHistory } from '../partitions/fixtures/partition-history.fixture.js';
import { RollupHistory, seeded } from './fixtures/rollup-history.fixture.js';

const STEPS = 60;
const CHECKS = 4;
const HOUR_MS = 3_600_000;

const usage = [1, 2, 3, 4].map((seed) =>
  defineLedger({
    schema: ownSchema(),
    name: `seed-${seed}`,
    columns: { model: 'text' },
    rollup: { dimensions: ['model'] },
  }),
);

const partitioned = [1, 2, 3].map(() =>
  defineLedger({
    schema: ownSchema(),
    columns: { model: 'text' },
    rollup: { dimensions: ['model'] },
    partition: 'month',
  }),
);

const [deep, twice] = [1, 2].map(() =>
  defineLedger({
    schema: ownSchema(),
    columns: { model: 'text' },
    rollup: { dimensions: ['model'] },
  }),
);

describe('summary from rollups', () => {
  let bench: RollupBench | undefined;
  afterEach(() => bench?.close());

  /** Compares both ways after each step. */
  const live = async (history: RollupHistory, seed: number): Promise<void> => {
    const check = async (): Promise<void> => {
      for (let i = 0; i < CHECKS; i++) {
        const query = history.query();
        const found: Partial<UsageSummary> = {
          ...(await bench!.reader.summary(query as object)),
        };
        delete (found as { asOf?: string }).asOf;
        const about = `seed ${seed}: ${JSON.stringify(query)}`;
        expect(found, about).toEqual(await history.plain(query));
      }
    };
    for (let step = 0; step < STEPS; step++) {
      await history.step();
      await check();
    }
    await history.end();
    await bench!.refreshAll();
    await check();
    expect(await history.gaps()).toEqual([]);
    expect(bench!.notices).toEqual([]);
    expect((await bench!.closedBefore())!.getTime()).toBeGreaterThan(Date.now() - HOUR_MS);
  };
  const seedOf = (index: number): number =>
    Number(process.env['LEDGER_ROLLUP_SEED'] ?? Date.now() % 1e9) + index;

  it.each(usage.map((_, index) => index))(
    'equals the plain SUM at every moment of random history %i',
    async (index) => {
      bench = await openRollupBench(inject('databaseUrl'), usage[index]!);
      const seed = seedOf(index);
      await live(new RollupHistory(bench, seeded(seed)), seed);
    },
    60_000,
  );

  it.each(partitioned.map((_, index) => index))(
    'equals it while partitions come and go, and rows are changed in them: history %i',
    async (index) => {
      bench = await openRollupBench(inject('databaseUrl'), partitioned[index]!);
      const seed = seedOf(index);
      const random = seeded(seed);
      await live(new RollupHistory(bench, random, partitionHistory(bench, random)), seed);
    },
    60_000,
  );

  it('equals it with buckets on all levels, and late entries in one', async () => {
    bench = await openRollupBench(inject('databaseUrl'), deep!);
    const history = new RollupHistory(bench, seeded(1));
    const sizes = { bucketEntries: 2, fanOut: 2, changes: 12 };
    const refreshAll = (check?: () => Promise<void>): Promise<void> =>
      refreshFully(bench!.refresher({ sizes }), check);
    const insert = (from: string, minutes: number): Promise<unknown> =>
      bench!.client.query(
        `INSERT INTO ${bench!.table} (uuid, user_id, api_key_id, prompt_tokens, completion_tokens,
           direction, created_at)
         SELECT gen_random_uuid(), 1 + n % 2, 1 + n % 3, n, 0, 'consume',
           timestamptz '${from}' + n * interval '${minutes} minutes' FROM generate_series(1, 200) n`,
      );
    await insert('2026-01-01Z', 60);
    await refreshAll();
    // All late, and all in one earlier bucket.
    await insert('2025-01-01Z', 1);
    await refreshAll();
    expect(await history.levels()).toBe(5);
    expect(await history.gaps()).toEqual([]);
    const check = (): Promise<void> => checkHours(bench!, history);
    await check();
    // One bucket is cut again while most notes of an earlier version wait for later refreshes.
    await insert('2025-02-01Z', 0);
    await refreshAll();
    await changeAndNote(bench, {
      from: `created_at = '2025-02-01Z' AND prompt_tokens % 5 = 0`,
      statement: 'DELETE FROM',
    });
    await insert('2025-02-01Z', 0);
    await refreshAll(check);
    expect(await history.gaps()).toEqual([]);
  });

  it('equals it if the later of two notes on an entry is processed first', async () => {
    bench = await openRollupBench(inject('databaseUrl'), twice!);
    const { client, names, table } = bench;
    const insert = (userId: number, from: string): Promise<unknown> =>
      client.query(
        `INSERT INTO ${table} (uuid, user_id, prompt_tokens, completion_tokens, direction, created_at)
         SELECT gen_random_uuid(), ${userId}, n, 0, 'consume',
           timestamptz '${from}' + n * interval '1 minute' FROM generate_series(1, 10) n`,
      );
    const history = new RollupHistory(bench, seeded(1));
    const sizes = { bucketEntries: 1, fanOut: 2, changes: 1 };
    const refresher = bench.refresher({ sizes, stepMs: 24 * HOUR_MS });
    await insert(5, '2026-01-01Z');
    await insert(2, '2026-01-02T12:00Z');
    for (let closed = null; closed === null; closed = await bench.closedBefore())
      await refresher.refresh();
    const sets = { statement: 'UPDATE', set: 'SET user_id = 2', to: `created_at < '2026-01-02Z'` };
    await changeAndNote(bench, { from: 'user_id = 5', ...sets });
    await changeAndNote(bench, { from: `created_at < '2026-01-02Z'`, statement: 'DELETE FROM' });
    // The entries inserted again are below the watermark.
    await client.query(
      `WITH gone AS (DELETE FROM ${names.sqlMarks} WHERE entries > 0 RETURNING *)
       INSERT INTO ${names.sqlMarks} SELECT * FROM gone`,
    );
    const days = [1, 2, 3, 4].map((day) => new Date(Date.UTC(2026, 0, day)));
    const left = async (): Promise<number | null> =>
      (await client.query(`SELECT FROM ${names.sqlMarks}`)).rowCount;
    while ((await left()) !== 0) {
      await refresher.refresh();
      for (const [from, to] of [...days.entries()].map(([i, day]) => [day, days[i + 1]])) {
        const query = { userId: 2, from, to };
        const found = await bench.reader.summary(query);
        expect(found).toMatchObject((await history.plain(query)) as object);
      }
    }
    expect(await history.gaps()).toEqual([]);
  });
});

/** Each user and all users, for periods that begin and end inside buckets. */
async function checkHours(bench: RollupBench, history: RollupHistory): Promise<void> {
  for (const userId of [1, 2, undefined]) {
    for (let hour = 0; hour < 200; hour += 23) {
      const [from, to] = [new Date(Date.UTC(2025, 0, 1, 0, hour)), Date.UTC(2026, 0, 1, hour)];
      const query = { userId, from, to: new Date(to) };
      const found = await bench.reader.summary(query);
      expect(found).toMatchObject((await history.plain(query)) as object);
    }
  }
}

/**
 * Changes rows like in an earlier version of the package, whose triggers recorded the difference.
 */
async function changeAndNote(
  { client, names, table }: RollupBench,
  change: { from: string; statement: string; set?: string; to?: string },
): Promise<void> {
  const note = (sign: 1 | -1, where: string): Promise<unknown> =>
    client.query(
      `INSERT INTO ${names.sqlMarks} (created_at, written_at, user_id, api_key_id, service_id, model,
         consumed, supplied, entries)
       SELECT created_at, written_at, user_id, api_key_id, service_id, model,
         ${sign} * prompt_tokens, 0, ${sign} FROM ${table} WHERE ${where}`,
    );
  await client.query(`BEGIN; ALTER TABLE ${table} DISABLE TRIGGER USER`);
  await note(-1, change.from);
  await client.query(`${change.statement} ${table} ${change.set ?? ''} WHERE ${change.from}`);
  if (change.to !== undefined) await note(1, change.to);
  await client.query(`ALTER TABLE ${table} ENABLE TRIGGER USER; COMMIT`);
}
