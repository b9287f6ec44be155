import { Controller, Get, Header, Res, StreamableFile } from '@nestjs/common';
import { AsyncLocalStorage } from 'node:async_hooks';
import { once } from 'node:events';
import type { IncomingMessage, ServerResponse } from 'node:http';
import { Readable } from 'node:stream';
import { of, type Observable } from 'rxjs';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { ADAPTERS, CallLog, latch, RecordedApp } from './fixtures/recorded-app.fixture.js';
import { RecordUsage } from './record-usage.decorator.js';
import type { UsageCall } from './usage-call.interface.js';
import { Usage } from './usage.decorator.js';

const calls = new CallLog();
/** What an application keeps by request, as nestjs-cls does, and what a mapper found there. */
const store = new AsyncLocalStorage<string>();
const tenants: (string | undefined)[] = [];
/** Holds the second half of a stream back until a test lets it go. */
let rest = latch();
const broken = new Error('the provider broke');

async function* halves(draft?: { completionTokens?: number }): AsyncGenerator<string> {
  yield 'first ';
  await rest.promise;
  if (draft) draft.completionTokens = 2;
  yield 'second';
}

function mapTenant(call: UsageCall<unknown>): { userId: number } {
  tenants.push(store.getStore());
  return calls.map(call);
}

type AnyResponse = ServerResponse & { raw?: ServerResponse; header(k: string, v: string): void };

@Controller()
class StreamController {
  @Get('file')
  @RecordUsage(calls.map)
  file(@Usage() draft: { completionTokens?: number }): StreamableFile {
    return new StreamableFile(Readable.from(halves(draft), { objectMode: false }));
  }

  @Get('value-then-file')
  @RecordUsage(calls.map)
  valueThenFile(): Observable<unknown> {
    return of('value', new StreamableFile(Readable.from(halves(), { objectMode: false })));
  }

  @Get('bytes')
  @RecordUsage(calls.map)
  bytes(): StreamableFile {
    return new StreamableFile(Buffer.from('first second'));
  }

  @Get('node')
  @RecordUsage(calls.map)
  async node(@Usage() draft: { completionTokens?: number }): Promise<Readable> {
    return Readable.from(halves(draft));
  }

  @Get('web')
  @RecordUsage(calls.map)
  web(@Usage() draft: { completionTokens?: number }): ReadableStream {
    return Readable.toWeb(Readable.from(halves(draft))) as ReadableStream;
  }

  @Get('response')
  @RecordUsage(calls.map)
  response(@Usage() draft: { completionTokens?: number }): Response {
    return new Response(
      Readable.toWeb(Readable.from(halves(draft))) as ReadableStream<Uint8Array>,
      {
        status: 402,
      },
    );
  }

  @Get('generator')
  @Header('content-type', 'text/plain')
  @RecordUsage(mapTenant)
  generator(@Usage() draft: { completionTokens?: number }): AsyncGenerator<string> {
    return halves(draft);
  }

  @Get('manual')
  @RecordUsage(mapTenant)
  async manual(@Res() response: AnyResponse, @Usage() draft: object): Promise<void> {
    const raw = response.raw ?? response;
    for await (const half of halves(draft)) raw.write(half);
    raw.end();
  }

  @Get('background')
  @RecordUsage(calls.map)
  background(@Res() response: AnyResponse, @Usage() draft: object): void {
    Readable.from(halves(draft)).pipe(response.raw ?? response);
  }

  @Get('passthrough')
  @RecordUsage(calls.map)
  passthrough(@Res({ passthrough: true }) response: AnyResponse): object {
    response.header('x-own', 'yes');
    return { text: 'first second' };
  }
}

describe.each(ADAPTERS)('LedgerInterceptor with streams on %s', (adapter) => {
  let app: RecordedApp;

  beforeEach(async () => {
    calls.clear();
    rest = latch();
    tenants.length = 0;
    app = await RecordedApp.start(adapter, { controllers: [StreamController] }, (nest) =>
      nest.use((request: IncomingMessage & { originalUrl: string }, _: unknown, next: () => void) =>
        store.run(request.originalUrl, next),
      ),
    );
  });

  afterEach(() => app.close());

  it.each(['file', 'node', 'web', 'response', 'generator', 'manual', 'background'])(
    'maps %s once, when all of it was sent, with the draft that it filled as it went',
    async (path) => {
      const socket = await app.dial(`/${path}`);
      let received = '';
      socket.on('data', (chunk) => (received += String(chunk)));
      while (!received.includes('first')) await once(socket, 'data');
      expect(calls.all).toEqual([]);
      rest.open();
      await calls.reach(1);
      while (!received.includes('second')) await once(socket, 'data');
      socket.destroy();
      await app.close();
      expect(calls.ends).toEqual(['completed']);
      expect(calls.all[0]?.usage).toEqual({ completionTokens: 2 });
    },
  );

  it.each(['file', 'node', 'web', 'response', 'generator', 'manual', 'background'])(
    'maps %s once as aborted when the client hangs up in the middle',
    async (path) => {
      const socket = await app.dial(`/${path}`);
      let received = '';
      socket.on('data', (chunk) => (received += String(chunk)));
      while (!received.includes('first')) await once(socket, 'data');
      socket.destroy();
      await calls.reach(1);
      rest.open();
      await app.close();
      expect(calls.ends).toEqual(['aborted']);
      expect(calls.all[0]?.error).toBeUndefined();
      expect(app.ledger.recorded).toEqual([{ userId: 1 }]);
    },
  );

  it.each(['node', 'web', 'response', 'generator', 'file'])(
    'maps %s once as failed when its source breaks in the middle',
    async (path) => {
      const socket = await app.dial(`/${path}`);
      const closed = once(socket, 'close');
      let received = '';
      socket.on('data', (chunk) => (received += String(chunk)));
      while (!received.includes('first')) await once(socket, 'data');
      rest.fail(broken);
      await Promise.all([calls.reach(1), closed]);
      await app.close();
      expect(calls.ends).toEqual(['failed']);
      // A web stream does not tell what it broke with.
      const isWeb = path === 'web' || path === 'response';
      expect(calls.all[0]?.error).toBe(isWeb ? undefined : broken);
    },
  );

  it.each(['bytes', 'passthrough'])('maps %s once as completed', async (path) => {
    const answer = await app.fetch(`/${path}`);
    expect(answer.status).toBe(200);
    expect(await answer.text()).toContain('first second');
    await calls.reach(1);
    await app.close();
    expect(calls.ends).toEqual(['completed']);
  });

  it.each(['generator', 'manual'])('maps %s in the async context of its request', async (path) => {
    const socket = await app.dial(`/${path}?tenant=7`);
    while (!String((await once(socket, 'data'))[0]).includes('first'));
    // The connection's end belongs to no request: it is heard of outside of all contexts.
    socket.destroy();
    await calls.reach(1);
    rest.open();
    expect(tenants).toEqual([`/${path}?tenant=7`]);
  });

  it('maps an observable that ends in a stream when all of that was sent', async () => {
    const socket = await app.dial('/value-then-file');
    let received = '';
    socket.on('data', (chunk) => (received += String(chunk)));
    while (!received.includes('first')) await once(socket, 'data');
    expect(calls.all).toEqual([]);
    rest.open();
    await calls.reach(1);
    socket.destroy();
    await app.close();
    expect(calls.ends).toEqual(['completed']);
  });

  it('maps a HEAD request of a stream once as completed', async () => {
    const { socket, answer } = await app.head('/generator');
    expect(answer).toContain(' 200 ');
    await calls.reach(1);
    socket.destroy();
    await app.close();
    expect(calls.ends).toEqual(['completed']);
  });

  it('maps a stream once as aborted that still waits behind another on its connection', async () => {
    const socket = await app.dial('/generator', '/generator');
    while (!String((await once(socket, 'data'))[0]).includes('first'));
    socket.destroy();
    await calls.reach(2);
    rest.open();
    await app.close();
    expect(calls.ends).toEqual(['aborted', 'aborted']);
  });
});
