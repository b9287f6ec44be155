import { DataSource } from 'typeorm';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { defineLedger } from '../../libs/ledger/src/define-ledger.js';
import { dimensions } from '../../libs/ledger/src/rollup/rollup-layout.js';
import { RollupSummarySource } from '../../libs/ledger/src/rollup/rollup-summary-source.js';
import { RollupRefresher } from '../../libs/ledger/src/rollup/rollup-refresher.js';
import { UsageReader } from '../../libs/ledger/src/reading/usage-reader.js';
import { PgConnections } from '../../libs/ledger/src/postgres/pg-connections.js';
import {
  openRollupBench,
  ownSchema,
  type RollupBench,
} from '../../libs/ledger/src/rollup/fixtures/rollup-bench.fixture.js';
import { FaultDatabase } from './support/fault-database.js';
import { PG_BOUNCER, PgBouncer } from './support/pg-bouncer.js';

/** Fewer than the clients have, so that the statements of one client meet different ones. */
const SERVER_CONNECTIONS = 2;
const CLIENT_CONNECTIONS = 8;
const READS = 200;
const USERS = 5;
const usage = defineLedger({ schema: ownSchema(), rollup: true });

let database: FaultDatabase;
let bouncer: PgBouncer;
let direct: RollupBench;
let pooled: DataSource;

beforeAll(async () => {
  if (PG_BOUNCER === undefined) return;
  database = await FaultDatabase.start();
  bouncer = await PgBouncer.start(database.url, SERVER_CONNECTIONS);
  direct = await openRollupBench(database.url, usage);
  const pool = { url: bouncer.url, poolSize: CLIENT_CONNECTIONS };
  pooled = await new DataSource({ type: 'postgres', ...pool }).initialize();
});
afterAll(async () => {
  await pooled?.destroy();
  await direct?.close();
  await bouncer?.dispose();
  await database?.dispose();
});

async function insert(count: number): Promise<void> {
  await direct.client.query(
    `INSERT INTO ${direct.table} (uuid, user_id, prompt_tokens, completion_tokens, direction, created_at)
     SELECT gen_random_uuid(), 1 + n % ${USERS}, 1, 1, 'consume',
       '2026-01-05'::timestamptz + n * interval '1 minute'
     FROM generate_series(1, $1::int) n`,
    [count],
  );
}

describe('PgBouncer in transaction mode', () => {
  it.skipIf(PG_BOUNCER === undefined)(
    'in front of summary(), of many at once and of refreshes: every sum is that of the rows',
    async () => {
      const connections = new PgConnections({ dataSource: () => pooled, ownsDataSource: false });
      const notices: string[] = [];
      const reader = new UsageReader({
        definition: usage,
        connections,
        asOf: () => new Date(),
        source: new RollupSummarySource({
          definition: usage,
          connections,
          dimensions: () => dimensions(usage),
          onNotice: (text) => void notices.push(text),
        }),
      });
      const refresher = new RollupRefresher({
        ...{ definition: usage, connections, marginMs: 0, restFactor: 0 },
        sizes: { bucketEntries: 8, fanOut: 4 },
      });
      let entries = 0;
      for (let round = 1; round <= 3; round++) {
        await insert(500 * round);
        entries += 500 * round;
        const refreshing = (async () => {
          for (let i = 0; i < 3; i++) await refresher.refresh();
        })();
        const sums = await Promise.all(
          Array.from({ length: READS }, (_, i) => reader.summary({ userId: 1 + (i % USERS) })),
        );
        await refreshing;
        const wanted = { entries: entries / USERS, consumedTokens: (2 * entries) / USERS };
        for (const sum of sums) expect(sum).toMatchObject(wanted);
        expect(await reader.summary({})).toMatchObject({ entries });
      }
      const { rows } = await direct.client.query(`SELECT FROM ${direct.names.sqlRollups}`);
      expect(rows.length).toBeGreaterThan(50);
      // Said if the function could not be called, and the rows were added up instead.
      expect(notices).toEqual([]);
    },
  );
});
