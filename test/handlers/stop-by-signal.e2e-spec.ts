import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { buildIfStale } from '../support/example-app.js';
import { AWAITED, HandlersSite, HELD_OF_ALL } from '../support/handlers-stop.js';
import { hasRedis, RedisServer } from '../support/redis-server.js';

let redis: RedisServer | undefined;
/** Starts while the test before still runs. */
let next: Promise<HandlersSite>;

beforeAll(async () => {
  await buildIfStale();
  if (hasRedis) redis = await RedisServer.start();
  next = HandlersSite.start({ redis });
}, 180_000);
afterAll(async () => {
  await (await next)?.dispose();
  await redis?.stop();
});

async function expectAwaited(kinds: readonly string[], site: HandlersSite): Promise<void> {
  try {
    await site.stopUnderLoad(kinds, 'SIGTERM');
    await site.expectOneRowEach(kinds);
    expect(await site.app.end()).toBe('SIGTERM');
  } finally {
    await site.dispose();
  }
}

describe('SIGTERM under load', { timeout: 90_000 }, () => {
  it.each(AWAITED.map((kinds) => [kinds.join(' and '), kinds] as const))(
    'waits for calls of %s',
    async (_, kinds) => {
      const site = await next;
      next = HandlersSite.start({ redis });
      await expectAwaited(kinds, site);
    },
  );

  it('waits for calls of all kinds in one process', async () => {
    await expectAwaited(AWAITED.flat(), await HandlersSite.start({ redis, held: HELD_OF_ALL }));
  });
});
