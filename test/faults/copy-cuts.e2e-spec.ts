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
import { Seed } from './support/seed.js';

const ROUNDS = process.env['LEDGER_SOAK'] ? 40 : 2;

let database: FaultDatabase;
let proxy: TcpProxy;
let app: FaultApp;

beforeAll(async () => {
  database = await FaultDatabase.start();
  proxy = await startTcpProxy(database.url);
  app = await FaultApp.start(proxy.url, { WRITE_TIMEOUT_MS: 500 });
});
afterAll(async () => {
  await app?.dispose();
  await proxy?.close();
  await database?.dispose();
});

const STRIKES = COPY_POINTS.flatMap((point) => STRIKE_ACTS.map((act) => ({ point, act })));

describe('a COPY stream that is struck', { timeout: 60_000 * ROUNDS }, () => {
  it(`${STRIKES.length} ways, ${ROUNDS} times each, loses nothing`, async () => {
    const seed = Seed.print('copy cuts');
    app.load(1000);
    for (let round = 0; round < ROUNDS; round++) {
      for (const { point, act } of shuffle(STRIKES, seed)) {
        const afterBytes = point === 'header' ? seed.integer(1, 23) : seed.integer(24, 2000);
        await proxy.strike({ point, afterBytes }, act);
        // Some strikes meet a ledger that has just recovered, others one that has not.
        if (seed.random() < 0.5) continue;
        const { written } = await app.report();
        await app.until((stats) => stats.written > written);
      }
      app.pause();
      await app.settled();
      await expectNothingLost(database, [app]);
      app.load(1000);
    }
    app.pause();
    const stats = await app.settled();
    await expectNothingLost(database, [app]);
    expect(stats).toMatchObject({ deadLettered: 0, spilled: 0, dropped: 0 });
    expect(stats.retries).toBeGreaterThanOrEqual(STRIKES.length);
    process.stdout.write(
      `${ROUNDS * STRIKES.length} strikes, ${stats.queued} entries, ` +
        `${stats.duplicate} were in before, ${tally.lost} lost\n`,
    );
  });
});

function shuffle<T>(from: readonly T[], seed: Seed): T[] {
  return from
    .map((each) => ({ each, order: seed.random() }))
    .sort((a, b) => a.order - b.order)
    .map(({ each }) => each);
}
