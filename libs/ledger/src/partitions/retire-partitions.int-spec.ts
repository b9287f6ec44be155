import type { RetiredPartition } from '../ports/ledger-retention.interface.js';
import { afterEach, beforeEach, describe, expect, inject, it, vi } from 'vitest';
import { outputTo } from '../cli/fixtures/command-output.fixture.js';
import { definitionOptions } from '../cli/fixtures/definition-options.fixture.js';
import { runProgram } from '../cli/program.js';
import { newEntryUuid } from '../codec/uuid.js';
import type { LedgerDatabase } from '../sink/fixtures/ledger-database.fixture.js';
import { PartitionedDatabase } from './fixtures/partitioned-database.fixture.js';
import { rollupRetirement as hooks } from '../rollup/rollup-retirement.js';
import {
  claimRetired,
  detachPartitions,
  dropRetired,
  endRetired,
  listRetired,
  releaseRetired,
} from './retire-partitions.js';

const JANUARY = Date.UTC(2026, 0, 1);
const NOW = Date.UTC(2026, 5, 15);

let test: PartitionedDatabase;
beforeEach(async () => {
  test = await PartitionedDatabase.create(inject('databaseUrl'), NOW);
});
afterEach(() => test.drop());

/** Output of the command, which detaches nothing itself here. */
async function runRetire(...args: string[]): Promise<string[]> {
  return runRetireIn(test.database, ...args);
}

async function runRetireIn({ url, table }: LedgerDatabase, ...args: string[]): Promise<string[]> {
  const said: string[] = [];
  const at = ['--database-url', url, ...definitionOptions(table)];
  const output = outputTo((line) => void said.push(line));
  expect(await runProgram(['partitions', 'retire', '--keep', '100', ...at, ...args], output)).toBe(
    0,
  );
  return said;
}

const ALL = ['usage_entries_p202605', 'usage_entries_p202606', 'usage_entries_p202607'];
const MADE = [...ALL, 'usage_entries_p202608', 'usage_entries_default'];

describe('a partition whose period is over', () => {
  it('is kept by default; rows of a later time stay in the ledger', async () => {
    await test.makeMonths(JANUARY, NOW);
    await test.insert(newEntryUuid(new Date(JANUARY)), JANUARY);
    const stray = newEntryUuid(new Date(JANUARY));
    await test.insert(stray, NOW);
    await test.keeperOf().look();
    expect(await test.names()).toContain('usage_entries_p202601');
    await test.keeperOf({ keep: 1 }).look();
    expect(await test.names()).toEqual(MADE);
    expect(await test.rowsByPartition()).toEqual({ usage_entries_default: 1 });
    expect(await test.database.sql('SELECT uuid FROM $T')).toEqual([{ uuid: stray }]);
    expect(
      await test.database.sql(
        `SELECT to_regclass('"${test.database.schema}".usage_entries_p202601')`,
      ),
    ).toEqual([{ to_regclass: null }]);
  });

  it("leaves rows of a later time in the ledger without firing users' triggers", async () => {
    await test.makeMonths(JANUARY, JANUARY + 1);
    const own = `"${test.database.schema}"`;
    await test.database.sql(`CREATE TABLE ${own}.booked (op text)`);
    await test.database.sql(`CREATE FUNCTION ${own}.book() RETURNS trigger LANGUAGE plpgsql AS $$
      BEGIN INSERT INTO ${own}.booked VALUES (TG_OP); RETURN NULL; END $$`);
    await test.database.sql(`CREATE TRIGGER book AFTER INSERT OR DELETE ON $T
      FOR EACH ROW EXECUTE FUNCTION ${own}.book()`);
    for (const at of [JANUARY, NOW]) await test.insert(newEntryUuid(new Date(JANUARY)), at);
    await test.keeperOf({ keep: 3 }).look();
    expect(await test.rowsByPartition()).toEqual({ usage_entries_default: 1 });
    expect(await test.database.sql(`SELECT op FROM ${own}.booked`)).toEqual([
      { op: 'INSERT' },
      { op: 'INSERT' },
    ]);
  });

  it('is handed over until that succeeds, and then never again', async () => {
    await test.makeMonths(JANUARY, JANUARY + 1);
    await test.insert(newEntryUuid(new Date(JANUARY)), JANUARY);
    const taken: unknown[] = [];
    const fails = test.keeperOf({
      keep: 3,
      onRetire: () => Promise.reject(new Error('disk full')),
    });
    await fails.look();
    expect(test.lines.join()).toContain('WARNING');
    const retention = { keep: 3, onRetire: (partition: unknown) => void taken.push(partition) };
    await test.keeperOf(retention).look();
    await test.keeperOf(retention).look();
    expect(taken).toEqual([
      {
        schema: test.database.schema,
        table: 'usage_entries_p202601',
        from: '2026-01-01T00:00:00.000Z',
        to: '2026-02-01T00:00:00.000Z',
      },
    ]);
    const [row] = await test.database.sql<{ n: string }>(
      `SELECT count(*) AS n FROM "${test.database.schema}".usage_entries_p202601`,
    );
    expect(row!.n).toBe('1');
  });

  it('is handed over once, for any number of concurrent calls, and blocks no writer', async () => {
    await test.makeMonths(JANUARY, JANUARY + 1);
    let taken = 0;
    let finish: () => void = () => {};
    const archived = new Promise<void>((resolve) => (finish = resolve));
    const retention = { keep: 3, onRetire: () => (taken++, archived) };
    const slow = test.keeperOf(retention);
    await slow.make();
    expect(await test.names()).toEqual(MADE);
    await expect.poll(() => taken).toBe(1);
    await Promise.all([test.keeperOf(retention).look(), test.keeperOf(retention).look()]);
    expect(taken).toBe(1);
    // The claiming process has died: its claim is old.
    const [found] = await test.onOne((session) => listRetired(session, test.path));
    await test.onOne((session) => releaseRetired(session, found!.partition));
    const next = test.keeperOf(retention).look();
    await expect.poll(() => taken).toBe(2);
    finish();
    await Promise.all([next, slow.look()]);
    expect(taken).toBe(2);
    expect(await test.onOne((session) => listRetired(session, test.path))).toEqual([]);
  });

  it('is left to onRetire if it was retired for it, even by a process without one', async () => {
    await test.makeMonths(JANUARY, JANUARY + 1);
    await test.keeperOf({ keep: 3, onRetire: () => Promise.reject(new Error('disk full')) }).look();
    test.lines.length = 0;
    await test.keeperOf({ keep: 3 }).look();
    expect(test.lines).toEqual([
      expect.stringContaining('usage_entries_p202601 was retired for an'),
    ]);
    expect(await runRetire()).toEqual([
      "left usage_entries_p202601: it waits for an application's onRetire",
    ]);
    const taken: string[] = [];
    await test.keeperOf({ keep: 3, onRetire: ({ table }) => void taken.push(table) }).look();
    expect(taken).toEqual(['usage_entries_p202601']);
  });

  it('is not ended by one process while another holds the claim', async () => {
    await test.makeMonths(JANUARY, JANUARY + 1);
    await test.onOne((session) =>
      detachPartitions(session, test.sqlTable, JANUARY + 31 * 86_400_000, { hooks }),
    );
    const [found] = await test.onOne((session) => listRetired(session, test.path));
    expect(await test.onOne((session) => claimRetired(session, found!.partition, 'other'))).toBe(
      true,
    );
    await test.keeperOf({ keep: 3 }).look();
    expect(await runRetire('--json')).toMatchObject([
      expect.stringMatching(/"retired": \[\],\s+"left": \[\s+\{/),
    ]);
    expect(await runRetire()).toEqual([
      'left usage_entries_p202601: another process is retiring it',
    ]);
    await test.onOne((session) => releaseRetired(session, found!.partition));
    expect(await runRetire()).toEqual(['dropped usage_entries_p202601']);
    expect(await test.onOne((session) => listRetired(session, test.path))).toEqual([]);
  });
});

describe('a process whose clock is years ahead', () => {
  const DAY_MS = 86_400_000;
  const present = Date.now();
  const ahead = present + 800 * DAY_MS;
  let wrong: PartitionedDatabase;
  beforeEach(async () => {
    wrong = await PartitionedDatabase.create(inject('databaseUrl'), ahead);
  });
  afterEach(async () => {
    vi.useRealTimers();
    await wrong.drop();
  });

  it.each(['a keeper', 'the command'])('retires nothing of the present: %s', async (who) => {
    const [old, kept] = [present - 400 * DAY_MS, present];
    await wrong.makeMonths(old, present + 1);
    for (const createdAt of [old, kept]) {
      await wrong.insert(newEntryUuid(new Date(createdAt)), createdAt);
    }
    if (who === 'a keeper') await wrong.keeperOf({ keep: 3 }).look();
    else {
      vi.useFakeTimers({ now: ahead, toFake: ['Date'] });
      await runRetireIn(wrong.database, '--keep', '3');
    }
    const rows = await wrong.database.sql<{ at: Date }>('SELECT created_at AS at FROM $T');
    expect(rows.map(({ at }) => at.getTime())).toEqual([kept]);
  });
});

describe('partitions that several processes end', () => {
  const PATIENCE = { timeout: 10_000 };
  /** Detached tables that are not ended, oldest first: the months from this one to January 2026. */
  const retireFrom = async (from: number): Promise<RetiredPartition[]> => {
    await test.makeMonths(from, JANUARY + 1);
    await test.onOne((session) =>
      detachPartitions(session, test.sqlTable, JANUARY + 31 * 86_400_000, { hooks }),
    );
    return listed();
  };
  const listed = async (): Promise<RetiredPartition[]> =>
    (await test.onOne((session) => listRetired(session, test.path))).map(
      ({ partition }) => partition,
    );

  const isWaitedFor = async (): Promise<boolean> => {
    const rows = await test.database.sql(
      `SELECT FROM pg_locks WHERE locktype = 'relation' AND NOT granted`,
    );
    return rows.length > 0;
  };

  /** Runs `work` so that it looks at the partition before another process's DROP ends. */
  const whileDropped = <T>(partition: RetiredPartition, work: () => Promise<T>): Promise<T> =>
    test.onOne(async (session) => {
      await session.rows('BEGIN');
      await dropRetired(session, partition);
      const working = work();
      await expect.poll(isWaitedFor, PATIENCE).toBe(true);
      await session.rows('COMMIT');
      return working;
    });

  it('are no fault if another process has just dropped them', async () => {
    const [first, second] = await retireFrom(Date.UTC(2025, 11, 1));
    const end = (): Promise<boolean> =>
      test.onOne((session) => endRetired(session, first!, 'b', dropRetired));
    expect(await whileDropped(first!, end)).toBe(false);
    expect(await whileDropped(second!, runRetire)).toEqual(['nothing to do']);
  });

  it('are claimed by one, even if transactions are repeatable reads by default', async () => {
    const [partition] = await retireFrom(JANUARY);
    const claim = (by: string, beforeCommit = async (): Promise<void> => {}): Promise<boolean> =>
      test.onOne(async (session) => {
        await session.rows("SET default_transaction_isolation = 'repeatable read'");
        const rows = session.rows.bind(session);
        session.rows = async (sql, values) => {
          if (sql === 'COMMIT') await beforeCommit();
          return rows(sql, values);
        };
        const isClaimed = await claimRetired(session, partition!, by);
        await session.rows('RESET default_transaction_isolation');
        return isClaimed;
      });
    let second: Promise<boolean> | undefined;
    const first = await claim('a', async () => {
      second = claim('b');
      await expect.poll(isWaitedFor, PATIENCE).toBe(true);
    });
    expect([first, await second]).toEqual([true, false]);
  });

  it('are all ended at once, by three', async () => {
    expect(await retireFrom(Date.UTC(2023, 1, 1))).toHaveLength(36);
    const keepers = [1, 2, 3].map(() => test.keeperOf({ keep: 3 }));
    await Promise.all(keepers.map((keeper) => keeper.look()));
    expect(await listed()).toEqual([]);
    expect(test.lines.join()).not.toContain('WARNING');
  });

  it('are ended although one of them fails, which is reported', async () => {
    const [stuck] = await retireFrom(Date.UTC(2025, 10, 1));
    const { schema } = test.database;
    await test.database.sql(
      `CREATE VIEW "${schema}".still_used AS SELECT FROM "${schema}".${stuck!.table}`,
    );
    await test.keeperOf({ keep: 3 }).look();
    expect(await listed()).toEqual([stuck]);
    expect(test.lines.join()).toMatch(/WARNING: .*2BP01/);
  });
});
