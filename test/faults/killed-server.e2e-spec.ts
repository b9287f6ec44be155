import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import {
  startTcpProxy,
  type TcpProxy,
} from '../../libs/ledger/src/postgres/fixtures/tcp-proxy.fixture.js';
import { FaultApp } from './support/fault-app.js';
import { FaultDatabase } from './support/fault-database.js';
import { expectNothingLost, tally } from './support/nothing-lost.js';
import { Seed } from './support/seed.js';

/** By the issue: 20 times under load. */
const KILLS = process.env['LEDGER_SOAK'] ? 200 : 20;
const LOAD = 2000;

let database: FaultDatabase;
let proxy: TcpProxy;
let app: FaultApp;

beforeAll(async () => {
  database = await FaultDatabase.start();
  proxy = await startTcpProxy(database.url);
  app = await FaultApp.start(proxy.url);
});
afterAll(async () => {
  await app?.dispose();
  await proxy?.close();
  await database?.dispose();
});

describe('PostgreSQL killed by SIGKILL under load', { timeout: KILLS * 15_000 }, () => {
  it(`in the middle of COPY or behind its last byte, ${KILLS} times, loses nothing`, async () => {
    const seed = Seed.print('killed server');
    app.load(LOAD);
    await app.until(({ written }) => written > 0);
    for (let kill = 0; kill < KILLS; kill++) {
      const afterBytes = seed.integer(24, 3000);
      const point = kill % 2 === 0 ? 'row' : 'answer';
      let killed: Promise<void> | undefined;
      await proxy.strike({ point, afterBytes }, () => {
        killed = database.kill();
      });
      await killed;
      await database.restart();
      const { written } = await app.report();
      await app.until((stats) => stats.written > written);
    }
    app.pause();
    const stats = await app.settled();
    const found = await expectNothingLost(database, [app]);
    expect(found.table.size).toBe(stats.queued);
    expect(stats).toMatchObject({ deadLettered: 0, spilled: 0, dropped: 0 });
    process.stdout.write(
      `${KILLS} kills, ${tally.entries} entries, ${stats.duplicate} were in before, ` +
        `${tally.lost} lost\n`,
    );
  });
});
