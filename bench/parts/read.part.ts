import { totalmem } from 'node:os';
import { DataSource } from 'typeorm';
import { dimensions } from '../../libs/ledger/src/rollup/rollup-layout.js';
import { RollupSummarySource } from '../../libs/ledger/src/rollup/rollup-summary-source.js';
import { RollupRefresher } from '../../libs/ledger/src/rollup/rollup-refresher.js';
import { UsageReader } from '../../libs/ledger/src/reading/usage-reader.js';
import { PgConnections } from '../../libs/ledger/src/postgres/pg-connections.js';
import { createBenchLedger, roomFor } from '../setup/bench-ledger.js';
import { definitionOf, tableOf } from '../setup/entries.js';
import { percentile, takeTurns } from '../setup/figures.js';
import { withoutIndexes } from '../setup/without-indexes.js';
import { tellProgress, underLoad, type Load } from '../setup/write-load.js';
import { measure, type Bench, type Part } from './part.js';

const FULL = { rows: 10_000_000, users: 100_000, owned: 1_000_000, reads: 600, plainReads: 20 };
const QUICK = { rows: 20_000, users: 1_000, owned: 2_000, reads: 10, plainReads: 2 };
/** Connections that write as fast as they can: with one, two cores have room for queries. */
const WRITING = [1, 2];
const YEARS = 3;
const DAY_MS = 86_400_000;
/** Memory of the machine, or of the container. */
const MEMORY = Math.min(process.constrainedMemory() || Infinity, totalmem());
/**
 * The table does not fit into the 128 MB of a server with default settings: each page that a query
 * needs would first evict one that the writers changed. PostgreSQL's documentation recommends a
 * quarter of the memory to start with (`shared_buffers`); its log suggests more `max_wal_size`.
 */
const SERVER = {
  shared_buffers: `${Math.floor(MEMORY / 4 / 1_048_576)}MB`,
  max_wal_size: '4GB',
};
/** The entries of user 1 are mixed with the others', at each tenth position. */
const BIG_USER = 1;

type Sizes = typeof FULL;

/** Both read the same table; one adds up its rows. */
interface Readers {
  readonly reader: UsageReader;
  readonly plain: UsageReader;
}

/** The cost of a read in a large ledger during writes, compared with plain SQL. */
export const read: Part = {
  name: 'read',
  title: 'Reading a large ledger under load',
  server: SERVER,
  async run(bench) {
    const { database, isQuick } = bench;
    const sizes = sizesOf(bench);
    await compareWriting(bench);
    await database.clear('read');
    await fill(bench, sizes);
    const dataSource = await new DataSource({
      type: 'postgres',
      url: database.url,
      poolSize: 2,
    }).initialize();
    const connections = new PgConnections({ dataSource: () => dataSource, ownsDataSource: false });
    const definition = definitionOf('read');
    const timeoutMs = 600_000;
    const first = { definition, connections, marginMs: 1_000, restFactor: 0, timeoutMs };
    await refreshAll(bench, new RollupRefresher(first), sizes);
    const asOf = (): Date => new Date();
    const source = new RollupSummarySource({
      definition,
      connections,
      dimensions: () => dimensions(definition),
      onNotice: (text) => process.stderr.write(`${text}\n`),
    });
    const reader = new UsageReader({ definition, connections, asOf, timeoutMs, source });
    const plain = new UsageReader({ definition, connections, asOf, timeoutMs });
    const refresher = new RollupRefresher({ definition, connections });
    try {
      for (const numWorkers of isQuick ? WRITING.slice(1) : WRITING) {
        await underLoad(bench, refresher, numWorkers, (load) =>
          readAll(bench, sizes, load, { reader, plain }),
        );
      }
    } finally {
      await dataSource.destroy();
      await database.clear('read');
    }
  },
};

function sizesOf({ isQuick, tableRows }: Bench): Sizes {
  const sizes = isQuick ? QUICK : FULL;
  if (tableRows === undefined) return sizes;
  const share = tableRows / sizes.rows;
  const of = (whole: number): number => Math.max(2, Math.round(whole * share));
  return { ...sizes, rows: tableRows, users: of(sizes.users), owned: of(sizes.owned) };
}

/** The cost of the rollups' indexes for a COPY: the same table without them, alternately. */
async function compareWriting({ database, figures, isQuick, rounds }: Bench): Promise<void> {
  const kinds = [
    ['without_rollups', 'without rollups'],
    ['small', 'with rollups'],
  ] as const;
  const rows = isQuick ? 10_000 : 200_000;
  const options = roomFor(5_000, 2);
  const ledgers = await Promise.all(
    kinds.map(([kind]) => createBenchLedger(database.url, kind, options)),
  );
  const turns = kinds.map(([kind, contender], index) => async (isCounted: boolean) => {
    await database.clear(kind);
    const { ms } = await measure(() => ledgers[index]!.pump(rows));
    const key = { group: 'writing, empty table', contender, setting: '2 connections' };
    if (isCounted) figures.add({ ...key, metric: 'rows', unit: 'rows/s' }, (rows * 1000) / ms);
  });
  await takeTurns(rounds, turns);
  for (const ledger of ledgers) await ledger.close();
  await database.clear('small');
}

/** One statement on the server: rows of three years ordered by time, with uuids of their time. */
async function fill({ database, figures }: Bench, sizes: Sizes): Promise<void> {
  const every = Math.round(sizes.rows / sizes.owned);
  const startMs = Date.now() - YEARS * 365 * DAY_MS;
  const stepMs = (YEARS * 365 * DAY_MS - 3_600_000) / sizes.rows;
  const { admin } = database;
  const fillAll = async (): Promise<void> => {
    await admin.query(
      `INSERT INTO ${tableOf('read')} (uuid, user_id, api_key_id, service_id, prompt_tokens,
         completion_tokens, direction, created_at, written_at)
       SELECT (lpad(to_hex(ms), 12, '0') || '70008' || lpad(to_hex(n), 15, '0'))::uuid, user_id,
         user_id * 2 + n / 7 % 2, 1, n & 4095, n & 1023, 'consume',
         to_timestamp(ms / 1000.0), to_timestamp(ms / 1000.0 + 1)
       FROM (SELECT n, ${startMs} + floor(n * ${stepMs}::float8)::bigint AS ms,
           CASE WHEN n % ${every} = 0 THEN ${BIG_USER}
             ELSE 2 + (n * 7919) % ${sizes.users - 1} END AS user_id
         FROM generate_series(1::bigint, ${sizes.rows}) AS n) AS made`,
    );
  };
  const { ms } = await measure(() => withoutIndexes(admin, tableOf('read'), fillAll));
  tellProgress('the table is there', ms);
  const key = { group: 'making the table', contender: 'the table', setting: sizes.rows };
  figures.add({ ...key, metric: 'time', unit: 's' }, ms / 1000);
}

async function refreshAll(
  { database, figures }: Bench,
  refresher: RollupRefresher,
  sizes: Sizes,
): Promise<void> {
  const { ms } = await measure(async () => {
    for (let rounds = 0, isBehind = true; isBehind || rounds < 3; rounds++) {
      const result = await refresher.refresh();
      isBehind = result.isBehind;
      if (result.outcome !== 'refreshed') await new Promise((resolve) => setTimeout(resolve, 600));
    }
    await database.admin.query(`VACUUM ANALYZE ${tableOf('read').replace(/"$/, '_rollups"')}`);
  });
  tellProgress('the rollups are there', ms);
  const { rows } = await database.admin.query<{ heap: string; rollups: string }>(
    `SELECT pg_total_relation_size('${tableOf('read')}') AS heap,
       pg_total_relation_size('${tableOf('read').replace(/"$/, '_rollups"')}') AS rollups`,
  );
  const key = { group: 'making the table', contender: 'first rollup', setting: sizes.rows };
  figures.add({ ...key, metric: 'time', unit: 's' }, ms / 1000);
  const size = { ...key, metric: 'size with indexes', unit: 'MiB' };
  figures.add({ ...size, contender: 'the table' }, Number(rows[0]!.heap) / 1_048_576);
  figures.add(size, Number(rows[0]!.rollups) / 1_048_576);
}

/**
 * A way of reading: its number of reads for one of many users and for the big one, and its
 * function.
 */
type Way = [string, [ofAll: number, ofBig: number], (userId: number) => Promise<unknown>];

/**
 * Alternating users, the big one at each second read; a period of up to three years to the minute.
 */
async function readAll(
  bench: Bench,
  sizes: Sizes,
  load: Load,
  { reader, plain }: Readers,
): Promise<void> {
  const table = tableOf('read');
  const page = `SELECT * FROM ${table} WHERE user_id = $1
    ORDER BY created_at DESC LIMIT 50 OFFSET $2`;
  const period = (): { from: Date; to: Date } => {
    const [from, to] = [Math.random(), Math.random()]
      .map((share) => Math.floor((Date.now() - share * YEARS * 365 * DAY_MS) / 60_000) * 60_000)
      .sort((a, b) => a - b);
    return { from: new Date(from!), to: new Date(to!) };
  };
  const { admin } = bench.database;
  const { reads, plainReads } = sizes;
  const ways: Way[] = [
    // The time that any query waits while the writers use both cores.
    ['SELECT 1, the floor', [reads, reads], () => admin.query('SELECT 1')],
    ['summary', [reads, reads], (userId) => reader.summary({ userId, ...period() })],
    ['summary, all time', [reads, reads], (userId) => reader.summary({ userId })],
    ['listRecent, first page', [reads, reads], (userId) => reader.listRecent({ userId })],
    ['listRecent, a later page', [reads, reads], laterPages(reader)],
    ['plain SUM', [reads, 0], (userId) => plain.summary({ userId, ...period() })],
  ];
  // Run last: each reads so many rows that they fill the server's cache, at the cost of the next
  // query.
  const dearWays: Way[] = [
    ['summary, everybody', [plainReads, 0], () => reader.summary({})],
    ['plain SUM', [0, plainReads], (userId) => plain.summary({ userId, ...period() })],
    [
      'OFFSET 500,000',
      [plainReads, plainReads],
      (userId) => admin.query(page, [userId, sizes.owned / 2]),
    ],
  ];
  await askByTurns(bench, sizes, load, ways);
  await askByTurns(bench, sizes, load, dearWays);
}

/** Alternately, so that all meet the same load. */
async function askByTurns(
  { figures }: Bench,
  { reads, users, owned }: Sizes,
  load: Load,
  ways: readonly Way[],
): Promise<void> {
  const times = ways.map((): [number[], number[]] => [[], []]);
  for (let i = 0; i < reads; i++) {
    for (const [index, [, counts, work]] of ways.entries()) {
      for (const who of [0, 1] as const) {
        if (!isTurn(i, counts[who], reads)) continue;
        const other = 2 + Math.floor(Math.random() * (users - 1));
        const userId = who === 1 ? BIG_USER : other;
        const { ms } = await measure(async () => void (await work(userId)));
        times[index]![who].push(ms);
      }
    }
  }
  const settings = [`${users - 1} users`, `the user with ${owned} entries`] as const;
  for (const [index, [contender]] of ways.entries()) {
    for (const who of [0, 1] as const) {
      if (times[index]![who].length === 0) continue;
      const key = { group: load.group, contender, setting: settings[who], unit: 'ms' };
      figures.add({ ...key, metric: 'p50' }, percentile(times[index]![who], 0.5));
      figures.add({ ...key, metric: 'p99' }, percentile(times[index]![who], 0.99));
    }
  }
}

/** Spreads `count` turns over all, so that expensive ways meet the same load as cheap ones. */
function isTurn(i: number, count: number, all: number): boolean {
  return Math.floor(((i + 1) * count) / all) > Math.floor((i * count) / all);
}

/** Each call continues after the previous one. */
function laterPages(reader: UsageReader): (userId: number) => Promise<void> {
  const cursors = new Map<number, string>();
  return async (userId) => {
    const cursor = cursors.get(userId);
    const { nextCursor } = await reader.listRecent({ userId, ...(cursor ? { cursor } : {}) });
    if (nextCursor === null) cursors.delete(userId);
    else cursors.set(userId, nextCursor);
  };
}
