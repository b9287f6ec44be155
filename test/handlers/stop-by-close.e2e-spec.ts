import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { buildIfStale } from '../support/example-app.js';
import { AWAITED, HandlersSite } from '../support/handlers-stop.js';
import { hasRedis, RedisServer } from '../support/redis-server.js';

let redis: RedisServer | undefined;
let site: HandlersSite;

beforeAll(async () => {
  await buildIfStale();
  if (hasRedis) redis = await RedisServer.start();
  site = await HandlersSite.start({ redis });
}, 180_000);
afterAll(async () => {
  await site?.dispose();
  await redis?.stop();
});

describe('app.close() under load', { timeout: 90_000 }, () => {
  it.each(AWAITED.flat())('waits for calls of %s', async (kind) => {
    await site.stopUnderLoad([kind], 'app.close()');
    await site.expectOneRowEach([kind]);
  });

  it('leaves nothing that keeps the process', async () => {
    expect(await site.app.end()).toBe(0);
  });
});
