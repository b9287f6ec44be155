import { randomUUID } from 'node:crypto';
import { afterEach, beforeEach, describe, expect, inject, it, vi } from 'vitest';
import { newEntryUuid } from '../codec/uuid.js';
import { UsageReader } from '../reading/usage-reader.js';
import { ManualClock } from '../testing/manual-clock.js';
import { PartitionedDatabase } from './fixtures/partitioned-database.fixture.js';
import { uuidBound } from './period.js';

const JANUARY = Date.UTC(2026, 0, 1);
const JUNE = Date.UTC(2026, 5, 1);
const NOW = Date.UTC(2026, 5, 15);

let test: PartitionedDatabase;
beforeEach(async () => {
  test = await PartitionedDatabase.create(inject('databaseUrl'), NOW);
});
afterEach(() => test.drop());

const ALL = ['usage_entries_p202605', 'usage_entries_p202606', 'usage_entries_p202607'];
const MADE = [...ALL, 'usage_entries_p202608', 'usage_entries_default'];

describe('PartitionKeeper', () => {
  it('makes the partitions ahead of time, with any number of keepers at once', async () => {
    await Promise.all(Array.from({ length: 4 }, () => test.keeperOf().look()));
    await test.keeperOf().look();
    expect(await test.names()).toEqual(MADE);
    expect(test.lines.filter((line) => line.startsWith('WARNING'))).toEqual([]);
    expect(test.lines.join().match(/p202606/g)).toHaveLength(1);
  });

  it('moves the rows of the default partition, and loses none', async () => {
    for (let i = 0; i < 20; i++) await test.insert(newEntryUuid(new Date(NOW + i)), NOW + i);
    const keyless = '7fffffff-ffff-4fff-8fff-ffffffffffff';
    await test.insert(keyless, NOW);
    expect(await test.rowsByPartition()).toEqual({ usage_entries_default: 21 });
    await test.keeperOf().look();
    expect(await test.rowsByPartition()).toEqual({
      usage_entries_default: 1,
      usage_entries_p202606: 20,
    });
    expect(test.lines).toEqual([expect.stringContaining('20 rows moved')]);
    await expect(test.insert(keyless, NOW)).rejects.toThrow(/duplicate key/);
  });

  it("moves rows without firing users' triggers, which stay unchanged", async () => {
    const own = `"${test.database.schema}"`;
    await test.database.sql(`CREATE TABLE ${own}.balance AS SELECT 0 AS rows`);
    await test.database.sql(`CREATE FUNCTION ${own}.book() RETURNS trigger LANGUAGE plpgsql AS $$
      BEGIN
        UPDATE ${own}.balance SET rows = rows + CASE TG_OP WHEN 'INSERT' THEN 1 ELSE -1 END;
        RETURN NULL;
      END $$`);
    for (const name of ['book', 'always', 'never']) {
      await test.database.sql(`CREATE TRIGGER ${name} AFTER INSERT OR DELETE ON $T
        FOR EACH ROW EXECUTE FUNCTION ${own}.book()`);
    }
    await test.database.sql('ALTER TABLE $T ENABLE ALWAYS TRIGGER always');
    await test.database.sql('ALTER TABLE $T DISABLE TRIGGER never');
    const enabled = () =>
      test.database.sql(`SELECT tgname, tgenabled FROM pg_trigger
        WHERE tgrelid = '${own}.usage_entries_default'::regclass AND NOT tgisinternal ORDER BY 1`);
    const before = await enabled();
    for (let i = 0; i < 3; i++) await test.insert(newEntryUuid(new Date(NOW + i)), NOW + i);
    await test.keeperOf().look();
    expect(await test.rowsByPartition()).toEqual({ usage_entries_p202606: 3 });
    expect(await test.database.sql(`SELECT rows FROM ${own}.balance`)).toEqual([{ rows: 6 }]);
    expect(await enabled()).toEqual(before);
  });

  it('warns once, with the command, if the role lacks the right; entries are written anyway', async () => {
    const role = `writer_${randomUUID().slice(0, 8)}`;
    await test.database.sql(`CREATE ROLE ${role} LOGIN PASSWORD 'it'`);
    await test.database.sql(`GRANT USAGE ON SCHEMA "${test.database.schema}" TO ${role}`);
    await test.database.sql(`GRANT INSERT, SELECT ON $T TO ${role}`);
    const url = new URL(test.database.url);
    Object.assign(url, { username: role, password: 'it' });
    const writer = await test.database.dataSource({ url: url.href }).initialize();
    try {
      const clock = new ManualClock(NOW);
      const keeper = test.keeperOf(undefined, writer, clock);
      await keeper.look();
      await keeper.look();
      // The next look is not due within the minute of other failures.
      await clock.advance(60_000);
      expect(clock.pendingTimers).toBe(1);
      const command = 'npx nestjs-ledger partitions create -d <file with the definition>';
      expect(test.lines).toEqual([expect.stringContaining(command)]);
      const uuid = newEntryUuid(new Date(NOW));
      await writer.query(
        `INSERT INTO ${test.sqlTable} (uuid, user_id, prompt_tokens, completion_tokens, direction,
         created_at) VALUES ($1, 1, 1, 0, 'consume', $2)`,
        [uuid, new Date(NOW)],
      );
      expect(await test.rowsByPartition()).toEqual({ usage_entries_default: 1 });
    } finally {
      await writer.destroy();
      await test.database.sql(`DROP OWNED BY ${role}; DROP ROLE ${role}`);
    }
  });

  it('looks again after a minute if the server was away', async () => {
    const clock = new ManualClock(NOW);
    const later = test.database.dataSource();
    const keeper = test.keeperOf(undefined, later, clock);
    await keeper.look();
    expect(test.lines).toEqual([
      expect.stringContaining('WARNING: partitions could not be created'),
    ]);
    await later.initialize();
    try {
      await clock.advance(60_000);
      await vi.waitFor(async () => expect(await test.names()).toEqual(MADE), 30_000);
    } finally {
      keeper.stop();
      await later.destroy();
    }
  });

  it('makes partitions each hour, however long onRetire takes', async () => {
    await test.makeMonths(JANUARY, JANUARY + 1);
    const clock = new ManualClock(NOW);
    const retired: string[] = [];
    let end = (): void => {};
    const onRetire = ({ table }: { table: string }): Promise<void> => {
      retired.push(table);
      return new Promise((resolve) => (end = resolve));
    };
    const keeper = test.keeperOf({ keep: 1, onRetire }, undefined, clock);
    await keeper.make();
    await vi.waitFor(() => expect(retired).toEqual(['usage_entries_p202601']), 30_000);
    await test.database.sql(`DROP TABLE "${test.database.schema}".usage_entries_p202608`);
    await clock.advance(3_600_000);
    await vi.waitFor(async () => expect(await test.names()).toEqual(MADE), 30_000);
    end();
    await keeper.look();
    expect(retired).toHaveLength(1);
  });

  it('makes and retires partitions although some were moved to another schema', async () => {
    const other = `${test.database.schema} archive`;
    await test.makeMonths(JANUARY, JANUARY + 1);
    const moved = ['usage_entries_p202601', 'usage_entries_default'];
    await test.database.sql(`CREATE SCHEMA "${other}"`);
    try {
      for (const name of moved) {
        await test.database.sql(
          `ALTER TABLE "${test.database.schema}".${name} SET SCHEMA "${other}"`,
        );
      }
      await test.insert(newEntryUuid(new Date(JANUARY)), JANUARY);
      await test.insert(newEntryUuid(new Date(NOW)), NOW);
      await test.keeperOf({ keep: 1 }).look();
      expect(test.lines.filter((line) => line.startsWith('WARNING'))).toEqual([]);
      expect(await test.names()).toEqual(MADE);
      expect(await test.rowsByPartition()).toEqual({ usage_entries_p202606: 1 });
      expect(
        await test.database.sql(
          `SELECT relname FROM pg_class WHERE relkind = 'r' AND relnamespace = '"${other}"'::regnamespace`,
        ),
      ).toEqual([{ relname: 'usage_entries_default' }]);
    } finally {
      await test.database.sql(`DROP SCHEMA "${other}" CASCADE`);
    }
  });

  it('does not change a table with foreign partitions', async () => {
    await test.database.sql('DROP TABLE $T');
    await test.database.sql(`CREATE TABLE $T (uuid uuid PRIMARY KEY) PARTITION BY HASH (uuid)`);
    await test.keeperOf({ keep: 1 }).look();
    expect(test.lines).toEqual([expect.stringContaining('create its partitions yourself')]);
  });
});

describe('reads of a partitioned table', () => {
  const plans = async (sql: string): Promise<string[]> =>
    (await test.database.sql<{ 'QUERY PLAN': string }>(`EXPLAIN ${sql}`)).map(
      (row) => row['QUERY PLAN'],
    );
  const MARCH = `created_at >= '2026-03-01Z'::timestamptz AND created_at < '2026-04-01Z'::timestamptz`;

  it('are exact for every uuid of any time', async () => {
    await test.makeMonths(JANUARY, JUNE);
    const reader = new UsageReader({
      definition: test.database.table,
      connections: test.connectionsOf(),
      asOf: () => new Date(NOW),
    });
    const days = Array.from({ length: 150 }, (_, day) => JANUARY + day * 86_400_000);
    const random = (): number => days[Math.floor(Math.random() * days.length)]!;
    const times: number[] = [];
    for (let i = 0; i < 60; i++) {
      const createdAt = random();
      times.push(createdAt);
      // A third fits, a third is a UUIDv7 of another time, a third is a UUIDv4.
      const uuid = [createdAt, random()].map((ms) => newEntryUuid(new Date(ms)))[i % 3];
      await test.insert(uuid ?? randomUUID(), createdAt, 1 + (i % 2));
    }
    const found = await test.rowsByPartition();
    expect(Object.keys(found).length).toBeGreaterThan(3);
    for (let i = 0; i < 20; i++) {
      const [from, to] = [random(), random()].sort((a, b) => a - b) as [number, number];
      const { entries } = await reader.summary({ from: new Date(from), to: new Date(to) });
      expect(entries).toBe(times.filter((time) => time >= from && time < to).length);
    }
    const { entries } = await reader.listRecent({ userId: 1, limit: 100 });
    expect(entries.map(({ createdAt }) => createdAt)).toEqual(
      times
        .filter((_, i) => i % 2 === 0)
        .sort((a, b) => b - a)
        .map((time) => new Date(time).toISOString()),
    );
  });

  it('scan the partition of their period, and only an empty index of the others', async () => {
    await test.makeMonths(JANUARY, JUNE);
    await test.database.sql(
      `INSERT INTO $T (uuid, user_id, prompt_tokens, completion_tokens, direction, created_at)
       SELECT (lpad(to_hex((extract(epoch FROM at) * 1000)::bigint), 12, '0') || '70008'
         || lpad(to_hex(n), 15, '0'))::uuid, n % 50, 1, 1, 'consume', at
       FROM (SELECT n, timestamptz '2026-01-01Z' + n * interval '3 minutes' AS at
         FROM generate_series(0::bigint, 70000) n) s`,
    );
    await test.database.sql(`ANALYZE $T`);
    const scans = (await plans(`SELECT count(*) FROM $T WHERE ${MARCH}`)).filter((line) =>
      /Scan.* on /.test(line),
    );
    const others = scans.filter(
      (line) => !/usage_entries_p202603|usage_entries_default/.test(line),
    );
    expect(others).toHaveLength(4);
    for (const line of others) expect(line).toMatch(/using usage_entries_p20260\d_strays/);
    // With bounds on the uuids the planner excludes the others completely.
    const [low, high] = [uuidBound(Date.UTC(2026, 2, 1)), uuidBound(Date.UTC(2026, 3, 1))];
    const pruned = await plans(
      `SELECT count(*) FROM $T WHERE uuid >= '${low}' AND uuid < '${high}'`,
    );
    expect(pruned.filter((line) => /Scan.* on /.test(line))).toHaveLength(1);
  });
});
