import {
  Controller,
  Get,
  Header,
  HttpCode,
  Post,
  Redirect,
  UseInterceptors,
  type CallHandler,
  type ExecutionContext,
  type NestInterceptor,
} from '@nestjs/common';
import { once } from 'node:events';
import type { Server, ServerResponse } from 'node:http';
import type { Socket } from 'node:net';
import { map, of, type Observable } from 'rxjs';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { ADAPTERS, CallLog, RecordedApp } from './fixtures/recorded-app.fixture.js';
import { LedgerInterceptor } from './ledger.interceptor.js';
import { RecordUsage } from './record-usage.decorator.js';
import type { UsageCall } from './usage-call.interface.js';
import { Usage } from './usage.decorator.js';

const calls = new CallLog();
/** Whether the headers were out when the mapper ran. */
const sentBefore: boolean[] = [];

function mapUnsent(call: UsageCall<unknown>): { userId: number } {
  const response = call
    .context!.switchToHttp()
    .getResponse<ServerResponse & { raw?: ServerResponse }>();
  sentBefore.push((response.raw ?? response).headersSent);
  return calls.map(call);
}

class Wrap implements NestInterceptor {
  intercept(_context: ExecutionContext, next: CallHandler): Observable<unknown> {
    return next.handle().pipe(map((data: unknown) => ({ data })));
  }
}

@Controller('plain')
class PlainController {
  @Get('value')
  @RecordUsage(mapUnsent)
  value(): object {
    return { answer: 42 };
  }

  @Post('promise')
  @RecordUsage(mapUnsent)
  async promise(): Promise<string> {
    return 'later';
  }

  @Get('observable')
  @RecordUsage(mapUnsent)
  observable(): Observable<number> {
    return of(1, 2, 3);
  }

  @Get('nothing')
  @HttpCode(204)
  @RecordUsage(mapUnsent)
  nothing(): void {}

  @Get('redirect')
  @Redirect('/plain/value', 302)
  @RecordUsage(mapUnsent)
  redirect(): void {}

  @Get('refusal')
  @HttpCode(404)
  @Header('x-kind', 'own')
  @RecordUsage(mapUnsent)
  refusal(): string {
    return 'an error answer that the handler chose itself';
  }

  @Get('wrapped')
  @UseInterceptors(Wrap)
  @RecordUsage(mapUnsent)
  wrapped(): string {
    return 'inner';
  }

  @Get('twice')
  @UseInterceptors(LedgerInterceptor, LedgerInterceptor)
  @RecordUsage(mapUnsent)
  twice(): string {
    return 'once';
  }

  @Get('draft')
  @RecordUsage(mapUnsent)
  draft(@Usage() draft: { memo?: string }): string {
    draft.memo = 'filled';
    return 'ok';
  }

  @Get('bare')
  bare(): string {
    return 'not recorded';
  }
}

@Controller('all')
@RecordUsage((call) => ({ ...calls.map(call), memo: 'class' }))
class ClassController {
  @Get('inherited')
  inherited(): string {
    return 'a';
  }

  @Get('own')
  @RecordUsage((call) => ({ ...calls.map(call), memo: 'handler' }))
  own(): string {
    return 'b';
  }
}

describe.each(ADAPTERS)('LedgerInterceptor with plain results on %s', (adapter) => {
  let app: RecordedApp;

  beforeEach(async () => {
    calls.clear();
    sentBefore.length = 0;
    const controllers = [PlainController, ClassController];
    app = await RecordedApp.start(adapter, { controllers });
  });

  afterEach(() => app.close());

  it.each([
    ['GET', '/plain/value', 200, '{"answer":42}', { answer: 42 }],
    ['POST', '/plain/promise', 201, 'later', 'later'],
    ['GET', '/plain/observable', 200, '3', 3],
    ['HEAD', '/plain/value', 200, '', { answer: 42 }],
    ['GET', '/plain/nothing', 204, '', undefined],
    ['GET', '/plain/redirect', 302, '', undefined],
    ['GET', '/plain/refusal', 404, /^an error/, expect.stringContaining('chose')],
    ['GET', '/plain/wrapped', 200, '{"data":"inner"}', { data: 'inner' }],
    ['GET', '/plain/twice', 200, 'once', 'once'],
  ] as const)('%s %s is mapped once, before it is sent', async (method, path, ...expected) => {
    const [status, body, result] = expected;
    const answer = await app.fetch(path, { method });
    expect(answer.status).toBe(status);
    if (status !== 302) expect(await answer.text()).toMatch(body);
    await app.close();
    expect(calls.ends).toEqual(['completed']);
    expect(calls.all[0]?.result).toEqual(result);
    expect(calls.all[0]?.error).toBeUndefined();
    expect(sentBefore).toEqual([false]);
    expect(app.ledger.recorded).toEqual([{ userId: 1 }]);
  });

  it('reports when the call began and how long it took', async () => {
    const before = Date.now();
    await app.fetch('/plain/value');
    const [call] = calls.all;
    expect(call?.startedAt.getTime()).toBeGreaterThanOrEqual(before);
    expect(call?.startedAt.getTime()).toBeLessThanOrEqual(Date.now());
    expect(call?.durationMs).toBeGreaterThan(0);
    expect(call?.durationMs).toBeLessThan(10_000);
    expect(call?.usage).toEqual({});
  });

  it('gives the mapper what the handler wrote into its draft', async () => {
    await app.fetch('/plain/draft');
    await app.fetch('/plain/draft');
    expect(calls.all.map((call) => call.usage)).toEqual([{ memo: 'filled' }, { memo: 'filled' }]);
    expect(calls.all[0]?.usage).not.toBe(calls.all[1]?.usage);
  });

  it('leaves a handler without the decorator alone', async () => {
    expect(await (await app.fetch('/plain/bare')).text()).toBe('not recorded');
    await app.close();
    expect(calls.all).toEqual([]);
  });

  it("uses the class's decorator for each handler without its own", async () => {
    await app.fetch('/all/inherited');
    await app.fetch('/all/own');
    expect(app.ledger.recorded).toMatchObject([{ memo: 'class' }, { memo: 'handler' }]);
  });

  it('counts each request of a connection that is kept alive and pipelined once', async () => {
    const socket = await app.dial('/plain/value', '/plain/nothing', '/plain/value');
    let received = '';
    for await (const chunk of socket) {
      received += String(chunk);
      if (received.split('{"answer":42}').length === 3) break;
    }
    await app.close();
    expect(received.match(/HTTP\/1\.1 \d+/g)).toEqual([
      'HTTP/1.1 200',
      'HTTP/1.1 204',
      'HTTP/1.1 200',
    ]);
    expect(calls.ends).toEqual(['completed', 'completed', 'completed']);
  });

  it('listens once to a connection, however many requests come on it', async () => {
    const connected = once(app.nest.getHttpServer() as Server, 'connection');
    const socket = await app.dial();
    const [peer] = (await connected) as [Socket];
    const before = peer.listenerCount('close');
    let most = 0;
    peer.on('newListener', () => (most = Math.max(most, peer.listenerCount('close'))));
    let received = '';
    socket.on('data', (chunk) => (received += String(chunk)));
    socket.write('GET /plain/value HTTP/1.1\r\nHost: ledger\r\n\r\n'.repeat(30));
    while (received.split('{"answer":42}').length < 31) await once(socket, 'data');
    // A separate request gives the last response time to finish.
    await app.fetch('/plain/bare');
    expect(calls.ends).toHaveLength(30);
    expect(peer.listenerCount('close')).toBe(before + 1);
    expect(most).toBeLessThan(before + 5);
    socket.destroy();
  });
});

describe.each(ADAPTERS)('LedgerInterceptor registered by hand on %s', (adapter) => {
  it('works with useGlobalInterceptors and a global prefix, and still counts once', async () => {
    calls.clear();
    const module = { controllers: [PlainController], providers: [LedgerInterceptor] };
    const app = await RecordedApp.start(adapter, module, (nest) => {
      nest.setGlobalPrefix('v1');
      nest.useGlobalInterceptors(nest.get(LedgerInterceptor));
    });
    const answer = await app.fetch('/v1/plain/value');
    await app.close();
    expect(answer.status).toBe(200);
    expect(calls.ends).toEqual(['completed']);
  });
});
