import { randomUUID } from 'node:crypto';
import type { DataSource } from 'typeorm';
import { afterEach, beforeEach, describe, expect, inject, it } from 'vitest';
import { newEntryUuid } from '../codec/uuid.js';
import type { QueryFunction } from '../migrations/load-catalog.js';
import { UsageReader } from '../reading/usage-reader.js';
import {
  createLedgerDatabase,
  type LedgerDatabase,
} from '../sink/fixtures/ledger-database.fixture.js';
import { PgConnections } from '../sink/postgres/pg-connections.js';
import { ManualClock } from '../testing/manual-clock.js';
import { createPartitions } from './create-partitions.js';
import { listPartitions } from './list-partitions.js';
import { PartitionKeeper, type LedgerRetention } from './partition-keeper.js';
import { periodsBetween, uuidBound } from './period.js';
import { listRetired, releaseRetired } from './retire-partitions.js';

const JANUARY = Date.UTC(2026, 0, 1);
const JUNE = Date.UTC(2026, 5, 1);
const NOW = Date.UTC(2026, 5, 15);

let database: LedgerDatabase;
let sqlTable: string;
let lines: string[];
let keepers: PartitionKeeper[];

beforeEach(async () => {
  database = await createLedgerDatabase(inject('databaseUrl'), { partition: 'month' });
  sqlTable = `"${database.schema}"."usage_entries"`;
  lines = [];
  keepers = [];
});
afterEach(async () => {
  for (const keeper of keepers) keeper.stop();
  await database.drop();
});

/** On one connection, as transactions need it. */
async function onOne<T>(work: (query: QueryFunction) => Promise<T>): Promise<T> {
  const runner = database.admin.createQueryRunner();
  try {
    await runner.connect();
    return await work((sql, values) => runner.query(sql, values));
  } finally {
    await runner.release();
  }
}

const connectionsOf = (dataSource: DataSource): PgConnections =>
  new PgConnections({ dataSource: () => dataSource, ownsDataSource: false });

function keeperOf(retention?: LedgerRetention, dataSource = database.admin): PartitionKeeper {
  const say = (line: string): void => void lines.push(line);
  const keeper = new PartitionKeeper({
    definition: database.table,
    connections: connectionsOf(dataSource),
    clock: new ManualClock(NOW),
    logger: { log: say, warn: say, error: say },
    retention,
  });
  keepers.push(keeper);
  return keeper;
}

const pathOf = () => ({ schema: database.schema, table: 'usage_entries' });

async function insert(uuid: string, createdAt: number, userId = 1): Promise<void> {
  await database.sql(
    `INSERT INTO $T (uuid, user_id, prompt_tokens, completion_tokens, direction, created_at)
     VALUES ('${uuid}', ${userId}, 1, 0, 'consume', '${new Date(createdAt).toISOString()}')`,
  );
}

const names = async (): Promise<string[]> =>
  (await onOne((query) => listPartitions(query, sqlTable)))!.partitions.map(({ name }) => name);

const rowsByPartition = async (): Promise<Record<string, number>> => {
  const rows = await database.sql<{ part: string; n: string }>(
    `SELECT c.relname AS part, count(*) AS n FROM $T t JOIN pg_class c ON c.oid = t.tableoid
     GROUP BY 1 ORDER BY 1`,
  );
  return Object.fromEntries(rows.map(({ part, n }) => [part, Number(n)]));
};

const ALL = ['usage_entries_p202605', 'usage_entries_p202606', 'usage_entries_p202607'];
const MADE = [...ALL, 'usage_entries_p202608', 'usage_entries_default'];

describe('PartitionKeeper', () => {
  it('makes the partitions ahead of time, however many keepers try at once', async () => {
    await Promise.all(Array.from({ length: 4 }, () => keeperOf().look()));
    await keeperOf().look();
    expect(await names()).toEqual(MADE);
    expect(lines.filter((line) => line.startsWith('WARNING'))).toEqual([]);
    expect(lines.join().match(/p202606/g)).toHaveLength(1);
  });

  it('takes along the rows that wait in the default partition, and loses none', async () => {
    for (let i = 0; i < 20; i++) await insert(newEntryUuid(new Date(NOW + i)), NOW + i);
    const keyless = '7fffffff-ffff-4fff-8fff-ffffffffffff';
    await insert(keyless, NOW);
    expect(await rowsByPartition()).toEqual({ usage_entries_default: 21 });
    await keeperOf().look();
    expect(await rowsByPartition()).toEqual({
      usage_entries_default: 1,
      usage_entries_p202606: 20,
    });
    expect(lines).toEqual([expect.stringContaining('20 rows moved')]);
    await expect(insert(keyless, NOW)).rejects.toThrow(/duplicate key/);
  });

  it('warns once, naming the command, where the role may not; entries go in all the same', async () => {
    const role = `writer_${randomUUID().slice(0, 8)}`;
    await database.sql(`CREATE ROLE ${role} LOGIN PASSWORD 'it'`);
    await database.sql(`GRANT USAGE ON SCHEMA "${database.schema}" TO ${role}`);
    await database.sql(`GRANT INSERT, SELECT ON $T TO ${role}`);
    const url = new URL(database.url);
    Object.assign(url, { username: role, password: 'it' });
    const writer = await database.dataSource({ url: url.href }).initialize();
    try {
      const keeper = keeperOf(undefined, writer);
      await keeper.look();
      await keeper.look();
      expect(lines).toEqual([expect.stringContaining('npx nestjs-ledger partitions create')]);
      const uuid = newEntryUuid(new Date(NOW));
      await writer.query(
        `INSERT INTO ${sqlTable} (uuid, user_id, prompt_tokens, completion_tokens, direction,
         created_at) VALUES ($1, 1, 1, 0, 'consume', $2)`,
        [uuid, new Date(NOW)],
      );
      expect(await rowsByPartition()).toEqual({ usage_entries_default: 1 });
    } finally {
      await writer.destroy();
      await database.sql(`DROP OWNED BY ${role}; DROP ROLE ${role}`);
    }
  });

  it('retires nothing unless asked to, then what is older, and keeps what is of later', async () => {
    await onOne((query) =>
      createPartitions(query, sqlTable, periodsBetween('month', JANUARY, NOW)),
    );
    await insert(newEntryUuid(new Date(JANUARY)), JANUARY);
    const stray = newEntryUuid(new Date(JANUARY));
    await insert(stray, NOW);
    await keeperOf().look();
    expect(await names()).toContain('usage_entries_p202601');
    await keeperOf({ keep: 1 }).look();
    expect(await names()).toEqual(MADE);
    expect(await rowsByPartition()).toEqual({ usage_entries_default: 1 });
    expect(await database.sql('SELECT uuid FROM $T')).toEqual([{ uuid: stray }]);
    expect(
      await database.sql(`SELECT to_regclass('"${database.schema}".usage_entries_p202601')`),
    ).toEqual([{ to_regclass: null }]);
  });

  it('hands a retired partition over until that works, and then never again', async () => {
    await onOne((query) =>
      createPartitions(query, sqlTable, periodsBetween('month', JANUARY, JANUARY + 1)),
    );
    await insert(newEntryUuid(new Date(JANUARY)), JANUARY);
    const taken: unknown[] = [];
    const fails = keeperOf({ keep: 3, onRetire: () => Promise.reject(new Error('disk full')) });
    await fails.look();
    expect(lines.join()).toContain('WARNING');
    const retention = { keep: 3, onRetire: (partition: unknown) => void taken.push(partition) };
    await keeperOf(retention).look();
    await keeperOf(retention).look();
    expect(taken).toEqual([
      {
        schema: database.schema,
        table: 'usage_entries_p202601',
        from: '2026-01-01T00:00:00.000Z',
        to: '2026-02-01T00:00:00.000Z',
      },
    ]);
    const [row] = await database.sql<{ n: string }>(
      `SELECT count(*) AS n FROM "${database.schema}".usage_entries_p202601`,
    );
    expect(row!.n).toBe('1');
  });

  it('hands it over once, however many ask at once, and holds no writer up for it', async () => {
    await onOne((query) =>
      createPartitions(query, sqlTable, periodsBetween('month', JANUARY, JANUARY + 1)),
    );
    let taken = 0;
    let finish: () => void = () => {};
    const archived = new Promise<void>((resolve) => (finish = resolve));
    const retention = { keep: 3, onRetire: () => (taken++, archived) };
    const slow = keeperOf(retention);
    await slow.make();
    expect(await names()).toEqual(MADE);
    await expect.poll(() => taken).toBe(1);
    await Promise.all([keeperOf(retention).look(), keeperOf(retention).look()]);
    expect(taken).toBe(1);
    // Whoever was at it has died: its claim is of long ago.
    const [partition] = await onOne((query) => listRetired(query, pathOf()));
    await onOne((query) => releaseRetired(query, partition!));
    const next = keeperOf(retention).look();
    await expect.poll(() => taken).toBe(2);
    finish();
    await Promise.all([next, slow.look()]);
    expect(taken).toBe(2);
    expect(await onOne((query) => listRetired(query, pathOf()))).toEqual([]);
  });

  it('leaves a table alone that somebody else partitioned in another way', async () => {
    await database.sql('DROP TABLE $T');
    await database.sql(`CREATE TABLE $T (uuid uuid PRIMARY KEY) PARTITION BY HASH (uuid)`);
    await keeperOf({ keep: 1 }).look();
    expect(lines).toEqual([expect.stringContaining('make its partitions yourself')]);
  });
});

describe('reads of a partitioned table', () => {
  const plans = async (sql: string): Promise<string[]> =>
    (await database.sql<{ 'QUERY PLAN': string }>(`EXPLAIN ${sql}`)).map(
      (row) => row['QUERY PLAN'],
    );
  const MARCH = `created_at >= '2026-03-01Z'::timestamptz AND created_at < '2026-04-01Z'::timestamptz`;

  it('are exact for every uuid, of whatever time it is', async () => {
    await onOne((query) =>
      createPartitions(query, sqlTable, periodsBetween('month', JANUARY, JUNE)),
    );
    const reader = new UsageReader({
      definition: database.table,
      connections: connectionsOf(database.admin),
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
      await insert(uuid ?? randomUUID(), createdAt, 1 + (i % 2));
    }
    const found = await rowsByPartition();
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

  it('go through the partition of their period; of the others they ask an empty index', async () => {
    await onOne((query) =>
      createPartitions(query, sqlTable, periodsBetween('month', JANUARY, JUNE)),
    );
    await database.sql(
      `INSERT INTO $T (uuid, user_id, prompt_tokens, completion_tokens, direction, created_at)
       SELECT (lpad(to_hex((extract(epoch FROM at) * 1000)::bigint), 12, '0') || '70008'
         || lpad(to_hex(n), 15, '0'))::uuid, n % 50, 1, 1, 'consume', at
       FROM (SELECT n, timestamptz '2026-01-01Z' + n * interval '3 minutes' AS at
         FROM generate_series(0::bigint, 70000) n) s`,
    );
    await database.sql(`ANALYZE $T`);
    const scans = (await plans(`SELECT count(*) FROM $T WHERE ${MARCH}`)).filter((line) =>
      /Scan.* on /.test(line),
    );
    const others = scans.filter(
      (line) => !/usage_entries_p202603|usage_entries_default/.test(line),
    );
    expect(others).toHaveLength(4);
    for (const line of others) expect(line).toMatch(/using usage_entries_p20260\d_strays/);
    // With the bounds as uuids the planner leaves the others out altogether.
    const [low, high] = [uuidBound(Date.UTC(2026, 2, 1)), uuidBound(Date.UTC(2026, 3, 1))];
    const pruned = await plans(
      `SELECT count(*) FROM $T WHERE uuid >= '${low}' AND uuid < '${high}'`,
    );
    expect(pruned.filter((line) => /Scan.* on /.test(line))).toHaveLength(1);
  });
});
