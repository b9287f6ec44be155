import { DataSource } from 'typeorm';
import { RollupPass } from '../../libs/ledger/src/reading/rollup/rollup-pass.js';
import { UsageReader } from '../../libs/ledger/src/reading/usage-reader.js';
import { PgConnections } from '../../libs/ledger/src/sink/postgres/pg-connections.js';
import { definitionOf, tableOf } from '../setup/entries.js';
import { percentile } from '../setup/figures.js';
import { Writer } from '../setup/writer.js';
import { measure, type Bench, type Part } from './part.js';

const FULL = { rows: 10_000_000, users: 100_000, owned: 1_000_000, reads: 600, plainReads: 20 };
const QUICK = { rows: 50_000, users: 1_000, owned: 5_000, reads: 40, plainReads: 5 };
const YEARS = 3;
const DAY_MS = 86_400_000;
/** Rows that the writer is given at once; it is given more until the reads are over. */
const ORDER = 50_000;
/** User 1 has its entries beside the others', at each tenth place. */
const BIG_USER = 1;
const GROUP = 'while writers write';

type Sizes = typeof FULL;

/** What a read costs in a large ledger, while it is written to, beside the plain ways. */
export const read: Part = {
  name: 'read',
  title: 'Reading a large ledger under load',
  async run(bench) {
    const { database, isQuick } = bench;
    const sizes = isQuick ? QUICK : FULL;
    await database.clear('rolled_up');
    await fill(bench, sizes);
    const dataSource = await new DataSource({
      type: 'postgres',
      url: database.url,
      poolSize: 2,
    }).initialize();
    const connections = new PgConnections({ dataSource: () => dataSource, ownsDataSource: false });
    const definition = definitionOf('rolled_up');
    const pass = new RollupPass({ definition, connections, marginMs: 1_000, timeoutMs: 600_000 });
    await foldAll(bench, pass, sizes);
    const reader = new UsageReader({ definition, connections, asOf: () => new Date() });
    const writer = await Writer.start({
      url: database.url,
      kind: 'rolled_up',
      options: { batchSize: 5_000, bufferSize: 100_000, numWorkers: 2 },
    });
    const state = { isOver: false };
    const load = keepWriting(bench, writer, state);
    try {
      await readAll(bench, sizes, reader);
    } finally {
      state.isOver = true;
      await load;
      await writer.end();
      await dataSource.destroy();
      await database.clear('rolled_up');
    }
  },
};

/** One statement on the server: rows of three years in the order of time. */
async function fill({ database, figures }: Bench, sizes: Sizes): Promise<void> {
  const every = Math.round(sizes.rows / sizes.owned);
  const start = new Date(Date.now() - YEARS * 365 * DAY_MS).toISOString();
  const stepMs = (YEARS * 365 * DAY_MS - 3_600_000) / sizes.rows;
  const { ms } = await measure(async () => {
    await database.admin.query(
      `INSERT INTO ${tableOf('rolled_up')} (uuid, user_id, api_key_id, service_id, prompt_tokens,
         completion_tokens, direction, created_at, written_at)
       SELECT gen_random_uuid(), user_id, user_id * 2 + n / 7 % 2, 1, n & 4095, n & 1023, 'consume',
         at, at + interval '1 second'
       FROM (SELECT n, timestamptz '${start}' + n * interval '${stepMs} milliseconds' AS at,
           CASE WHEN n % ${every} = 0 THEN ${BIG_USER}
             ELSE 2 + (n * 7919::bigint) % ${sizes.users - 1} END AS user_id
         FROM generate_series(1, ${sizes.rows}) AS n) AS made`,
    );
    await database.admin.query(`VACUUM ANALYZE ${tableOf('rolled_up')}`);
  });
  const key = { group: 'making the table', contender: 'INSERT … SELECT', setting: sizes.rows };
  figures.add({ ...key, metric: 'time', unit: 's' }, ms / 1000);
}

async function foldAll({ database, figures }: Bench, pass: RollupPass, sizes: Sizes) {
  const { ms } = await measure(async () => {
    for (let isBehind = true, calm = 0; isBehind || calm < 3;) {
      const result = await pass.run();
      isBehind = result.isBehind;
      calm = result.outcome === 'folded' ? 0 : calm + 1;
      if (calm > 0) await new Promise((resolve) => setTimeout(resolve, 600));
    }
    await database.admin.query(`VACUUM ANALYZE ${tableOf('rolled_up').replace(/"$/, '_rollups"')}`);
  });
  const { rows } = await database.admin.query<{ heap: string; rollups: string }>(
    `SELECT pg_total_relation_size('${tableOf('rolled_up')}') AS heap,
       pg_total_relation_size('${tableOf('rolled_up').replace(/"$/, '_rollups"')}') AS rollups`,
  );
  const key = { group: 'making the table', contender: 'first rollup', setting: sizes.rows };
  figures.add({ ...key, metric: 'time', unit: 's' }, ms / 1000);
  const size = { ...key, metric: 'size with indexes', unit: 'MiB' };
  figures.add({ ...size, contender: 'INSERT … SELECT' }, Number(rows[0]!.heap) / 1_048_576);
  figures.add(size, Number(rows[0]!.rollups) / 1_048_576);
}

async function keepWriting(
  { figures }: Bench,
  writer: Writer,
  state: { isOver: boolean },
): Promise<void> {
  while (!state.isOver) {
    const { ms, written } = await writer.run({ entries: ORDER, perSecond: 0 });
    const key = { group: GROUP, contender: 'writer', setting: '2 workers', metric: 'rows' };
    figures.add({ ...key, unit: 'rows/s' }, (written * 1000) / ms);
  }
}

/** Users by turns, the big one at each tenth read; a period of up to three years to the minute. */
async function readAll(bench: Bench, sizes: Sizes, reader: UsageReader): Promise<void> {
  const table = tableOf('rolled_up');
  const sum = `SELECT sum(prompt_tokens::bigint + completion_tokens), count(*) FROM ${table}
    WHERE user_id = $1 AND created_at >= $2 AND created_at < $3`;
  const page = `SELECT * FROM ${table} WHERE user_id = $1
    ORDER BY created_at DESC LIMIT 50 OFFSET $2`;
  const period = (): { from: Date; to: Date } => {
    const [from, to] = [Math.random(), Math.random()]
      .map((share) => Math.floor((Date.now() - share * YEARS * 365 * DAY_MS) / 60_000) * 60_000)
      .sort((a, b) => a - b);
    return { from: new Date(from!), to: new Date(to!) };
  };
  const { admin } = bench.database;
  const ways: [string, number, (userId: number) => Promise<unknown>][] = [
    ['summary', sizes.reads, (userId) => reader.summary({ userId, ...period() })],
    ['summary, all time', sizes.reads / 4, (userId) => reader.summary({ userId })],
    ['listRecent, first page', sizes.reads / 4, (userId) => reader.listRecent({ userId })],
    ['listRecent, a later page', sizes.reads / 4, laterPages(reader)],
    [
      'plain SUM',
      sizes.plainReads,
      (userId) => {
        const { from, to } = period();
        return admin.query(sum, [userId, from, to]);
      },
    ],
    ['OFFSET 500,000', sizes.plainReads, (userId) => admin.query(page, [userId, sizes.owned / 2])],
  ];
  for (const [contender, count, work] of ways) {
    for (const [setting, share] of [
      [`${sizes.users - 1} users`, 1],
      [`the user with ${sizes.owned} entries`, 0],
    ] as const) {
      const userOf = (): number =>
        share === 0 ? BIG_USER : 2 + Math.floor(Math.random() * (sizes.users - 1));
      const times: number[] = [];
      for (let i = 0; i < count; i++) {
        const userId = userOf();
        times.push((await measure(async () => void (await work(userId)))).ms);
      }
      const key = { group: GROUP, contender, setting, unit: 'ms' };
      bench.figures.add({ ...key, metric: 'p50' }, percentile(times, 0.5));
      bench.figures.add({ ...key, metric: 'p99' }, percentile(times, 0.99));
    }
  }
}

/** Each call reads on where the one before ended. */
function laterPages(reader: UsageReader): (userId: number) => Promise<void> {
  const cursors = new Map<number, string>();
  return async (userId) => {
    const cursor = cursors.get(userId);
    const { nextCursor } = await reader.listRecent({ userId, ...(cursor ? { cursor } : {}) });
    if (nextCursor === null) cursors.delete(userId);
    else cursors.set(userId, nextCursor);
  };
}
