import { mkdtemp, readdir, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, inject, it } from 'vitest';
import { assertConservation } from '../../libs/ledger/src/testing/ledger-under-test.js';
import { buildIfStale } from '../support/example-app.js';
import { HandlersApp } from '../support/handlers-app.js';
import { HandlersLoad } from '../support/handlers-load.js';
import { OwnSchema } from '../../libs/ledger/src/postgres/fixtures/own-schema.fixture.js';
import { hasRedis, RedisServer } from '../support/redis-server.js';

const SHUTDOWN_MS = 5000;
/** Of calls that a client makes, and of those that come by themselves. */
const KINDS = [
  ...['http', 'http-plain', 'rpc', 'rpc-plain', 'event', 'ws', 'ws-plain', 'query', 'mutation'],
  ...['subscription', 'interval', 'cron', 'tracked'],
];
const JOBS = ['bullmq', 'bullmq-plain', 'bull', 'bull-plain'];

let schema: OwnSchema;
let redis: RedisServer | undefined;
let spillDir: string;
let app: HandlersApp | undefined;

beforeAll(async () => {
  await buildIfStale();
  if (hasRedis) redis = await RedisServer.start();
}, 180_000);
afterAll(() => redis?.stop());

beforeEach(async () => {
  schema = await OwnSchema.create(inject('databaseUrl'));
  spillDir = await mkdtemp(join(tmpdir(), 'ledger-handlers-'));
});
afterEach(async () => {
  await app?.kill();
  await schema.drop();
  await rm(spillDir, { recursive: true, force: true });
});

async function memos(): Promise<string[]> {
  const rows = await schema.query('SELECT memo FROM usage_entries');
  return rows.map(({ memo }) => String(memo));
}

describe(
  'An application with every kind of handler, stopped under load',
  { timeout: 90_000 },
  () => {
    it.skipIf(!hasRedis).each(['SIGTERM', 'app.close()'] as const)(
      'by %s has one row for each call that had begun, jobs of Bull and BullMQ among them (redis-server)',
      async (by) => {
        await expectAllCalls(by, [...KINDS, ...JOBS]);
      },
    );

    // Without Redis the others are tried all the same; with it they are among those above.
    if (!hasRedis) {
      it('by SIGTERM has one row for each call that had begun', async () => {
        await expectAllCalls('SIGTERM', KINDS);
      });
    }
  },
);

async function expectAllCalls(by: 'SIGTERM' | 'app.close()', kinds: string[]): Promise<void> {
  app = await HandlersApp.start({
    DATABASE: inject('databaseUrl'),
    SCHEMA: schema.name,
    SPILL_DIR: spillDir,
    SHUTDOWN_MS: `${SHUTDOWN_MS}`,
    REDIS_PORT: `${redis?.port ?? 0}`,
  });
  const load = new HandlersLoad(app);
  await load.start();
  await app.until(() => kinds.every((kind) => (app!.begun.get(kind) ?? 0) >= 2));
  const ms = await app.stop(by);
  await load.ended();
  const { begun, ended, stats } = app.lastWords;
  expect(new Set(begun.map((memo) => memo.split(' ')[0]))).toEqual(new Set(kinds));
  // Every call that had begun, whether its client still heard of it or not, once.
  expect((await memos()).sort(), app.output).toEqual(begun.sort());
  expect(begun).toEqual(expect.arrayContaining([...load.answered, ...ended]));
  expect(await readdir(spillDir)).toEqual([]);
  assertConservation(stats);
  expect(stats).toMatchObject({ written: begun.length, depth: 0, inFlight: 0, sealed: 0 });
  expect(ms).toBeLessThan(SHUTDOWN_MS);
}
