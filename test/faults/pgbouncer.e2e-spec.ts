import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { COPY_POINTS } from '../../libs/ledger/src/postgres/fixtures/copy-watch.fixture.js';
import {
  startTcpProxy,
  STRIKE_ACTS,
  type TcpProxy,
} from '../../libs/ledger/src/postgres/fixtures/tcp-proxy.fixture.js';
import { FaultApp } from './support/fault-app.js';
import { FaultDatabase } from './support/fault-database.js';
import { expectNothingLost, tally } from './support/nothing-lost.js';
import { PG_BOUNCER, PgBouncer } from './support/pg-bouncer.js';
import { Seed } from './support/seed.js';

const STRIKES = process.env['LEDGER_SOAK'] ? 300 : 20;
const SERVER_CONNECTIONS = 4;

let database: FaultDatabase;
let bouncer: PgBouncer;
let proxy: TcpProxy;
let app: FaultApp;

beforeAll(async () => {
  if (PG_BOUNCER === undefined) return;
  database = await FaultDatabase.start();
  bouncer = await PgBouncer.start(database.url, SERVER_CONNECTIONS);
  proxy = await startTcpProxy(bouncer.url);
  app = await FaultApp.start(proxy.url, { WRITE_TIMEOUT_MS: 700 });
});
afterAll(async () => {
  await app?.dispose();
  await proxy?.close();
  await bouncer?.dispose();
  await database?.dispose();
});

describe('PgBouncer in transaction mode', { timeout: STRIKES * 5000 }, () => {
  it.skipIf(PG_BOUNCER === undefined)(
    'in front of several connections: every entry is written exactly once',
    async () => {
      const seed = Seed.print('pgbouncer');
      app.load(1000);
      await app.until(({ written }) => written > 0);
      for (let strike = 0; strike < STRIKES; strike++) {
        if (strike % 5 === 4) await terminateBackends();
        const point = strike % 2 === 0 ? 'answer' : seed.pick(COPY_POINTS);
        const afterBytes = point === 'header' ? seed.integer(1, 23) : seed.integer(24, 2000);
        await proxy.strike({ point, afterBytes }, seed.pick(STRIKE_ACTS));
        if (seed.random() < 0.5) continue;
        const { written } = await app.report();
        await app.until((stats) => stats.written > written);
      }
      await database.kill();
      await database.restart();
      const { written } = await app.report();
      await app.until((stats) => stats.written > written + 500);
      app.pause();
      const stats = await app.settled();
      const { table } = await expectNothingLost(database, [app]);
      expect(table.size).toBe(stats.queued);
      expect(stats).toMatchObject({ deadLettered: 0, spilled: 0, dropped: 0 });
      expect(stats.written + stats.duplicate).toBe(stats.queued);
      process.stdout.write(
        `${STRIKES} strikes and a kill behind PgBouncer, ${stats.queued} entries, ` +
          `${stats.duplicate} were in before, ${tally.lost} lost\n`,
      );
    },
  );
});

async function terminateBackends(): Promise<void> {
  await database.sql(`SELECT pg_terminate_backend(pid) FROM pg_stat_activity
    WHERE backend_type = 'client backend' AND pid <> pg_backend_pid()`);
}
