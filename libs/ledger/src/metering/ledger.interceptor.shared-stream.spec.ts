import { Controller, Get, Query } from '@nestjs/common';
import { once } from 'node:events';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { ADAPTERS, CallLog, latch, RecordedApp } from './fixtures/recorded-app.fixture.js';
import { RecordUsage } from './record-usage.decorator.js';

const calls = new CallLog();
const broken = new Error('the feed broke');
/** Functions on the stack when the feed was opened, by opening. */
const depths: number[] = [];
/** Holds the second half of one reader back until a test lets it go. */
let rests: ReturnType<typeof latch<void>>[] = [];

/** One for all requests; each of them reads it from the beginning. */
const feed = {
  [Symbol.asyncIterator](): AsyncIterator<string> {
    const { stackTraceLimit } = Error;
    Error.stackTraceLimit = Number.POSITIVE_INFINITY;
    depths.push(new Error('here').stack?.split('\n').length ?? 0);
    Error.stackTraceLimit = stackTraceLimit;
    return halves(rests[depths.length - 1]);
  },
};

async function* halves(rest: ReturnType<typeof latch<void>> | undefined): AsyncGenerator<string> {
  yield 'first ';
  await rest?.promise;
  yield 'second';
}

@Controller()
class FeedController {
  @Get('feed')
  @RecordUsage((call) => {
    const { query } = call.context!.switchToHttp().getRequest<{ query: { name?: string } }>();
    return { ...calls.map(call), memo: `${query.name} ${call.end}` };
  })
  feed(@Query('name') _name: string): AsyncIterable<string> {
    return feed;
  }
}

describe.each(ADAPTERS)('LedgerInterceptor with a stream for all requests on %s', (adapter) => {
  let app: RecordedApp;

  beforeEach(async () => {
    calls.clear();
    depths.length = 0;
    rests = [];
    app = await RecordedApp.start(adapter, { controllers: [FeedController] });
  });

  afterEach(() => app.close());

  it.each(['GET', 'HEAD'])('opens it for the last %s as for the first', async (method) => {
    for (let count = 1; count <= 20; count++) {
      await (await app.fetch('/feed', { method })).text();
    }
    await calls.reach(20);
    expect(depths).toHaveLength(20);
    expect(depths.at(-1)).toBe(depths[0]);
  });

  it('distinguishes a call whose reading broke from one that continues', async () => {
    rests = [latch(), latch()];
    const [breaking, whole] = [await app.dial('/feed?name=a'), await app.dial()];
    await once(breaking, 'data');
    whole.write('GET /feed?name=b HTTP/1.1\r\nHost: ledger\r\n\r\n');
    await once(whole, 'data');
    rests[0]?.fail(broken);
    await calls.reach(1);
    rests[1]?.open();
    await calls.reach(2);
    breaking.destroy();
    whole.destroy();
    const memos = app.ledger.recorded.map((entry) => (entry as { memo: string }).memo);
    expect(memos).toEqual(['a failed', 'b completed']);
    expect(calls.all.map(({ error }) => error)).toEqual([broken, undefined]);
  });
});
