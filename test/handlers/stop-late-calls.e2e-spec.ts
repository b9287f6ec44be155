import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest';
import { buildIfStale } from '../support/example-app.js';
import { HandlersSite, UNAWAITED } from '../support/handlers-stop.js';
import { hasRedis, RedisServer } from '../support/redis-server.js';

/** Calls of each kind that are under way when the stop begins. */
const HELD = 40;
const WAYS = ['SIGTERM', 'app.close()'] as const;
/** Decorated kinds, whose entries the ledger makes at the deadline. */
const METERED = ['rpc', 'event', 'ws', 'interval', ...(hasRedis ? ['bullmq'] : [])];
const PLAIN = ['rpc-plain', 'event-plain', 'ws-plain', 'tracked'];
const PLAIN_JOBS = hasRedis ? ['bullmq-plain'] : [];

let redis: RedisServer | undefined;
let site: HandlersSite | undefined;

beforeAll(async () => {
  await buildIfStale();
  if (hasRedis) redis = await RedisServer.start();
}, 180_000);
afterEach(() => site?.dispose());
afterAll(() => redis?.stop());

describe('Calls under load that a stop does not wait for', { timeout: 90_000 }, () => {
  it.each(WAYS)('have what they record after it in a file (%s)', async (by) => {
    site = await HandlersSite.start({ redis, held: HELD, until: 'sealed' });
    await site.stopUnderLoad(UNAWAITED, by);
    expect(await site.app.end()).toBe(by === 'SIGTERM' ? by : 0);
    expect(await site.expectAllRecorded()).toBeGreaterThanOrEqual(HELD * UNAWAITED.length);
  });
});

describe('Calls under load that outlive shutdownTimeoutMs', { timeout: 90_000 }, () => {
  it.each(WAYS)('are recorded once: at the deadline, or in a file (%s)', async (by) => {
    site = await HandlersSite.start({ redis, held: HELD, until: 'sealed', shutdownMs: 1500 });
    await site.stopUnderLoad([...METERED, ...PLAIN, ...PLAIN_JOBS], by);
    expect(await site.app.end()).toBe(by === 'SIGTERM' ? by : 0);
    const late = await site.expectAllRecorded();
    expect(late).toBeGreaterThanOrEqual(HELD * PLAIN.length);
    await expectAborted(site, METERED);
  });
});

describe('Calls under load whose process exits', { timeout: 90_000 }, () => {
  // So does Nest, before its last hooks, if a transport fails to close.
  it('are recorded once, with what they have counted', async () => {
    const kinds = ['http', 'query', ...METERED];
    site = await HandlersSite.start({ redis, held: HELD });
    await site.stopUnderLoad(kinds, 'process.exit()');
    expect(await site.app.end()).toBe(1);
    expect(await site.expectAllRecorded(site.app.begun)).toBeGreaterThanOrEqual(HELD);
    await expectAborted(site, kinds);
  });
});

async function expectAborted({ schema }: HandlersSite, kinds: readonly string[]): Promise<void> {
  const rows = await schema.query(
    "SELECT memo FROM usage_entries WHERE attributes->>'end' = 'aborted'",
  );
  for (const kind of kinds) {
    const aborted = rows.filter(({ memo }) => String(memo).startsWith(`${kind} `));
    expect(aborted.length, kind).toBeGreaterThanOrEqual(HELD);
  }
}
