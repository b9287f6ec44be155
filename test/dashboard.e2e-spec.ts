import {
  Controller,
  Get,
  Injectable,
  Module,
  type CanActivate,
  type DynamicModule,
  type ExecutionContext,
  type INestApplication,
} from '@nestjs/common';
import { ExpressAdapter } from '@nestjs/platform-express';
import { FastifyAdapter } from '@nestjs/platform-fastify';
import { Test } from '@nestjs/testing';
import { defaultLedger, defineLedger, LedgerService } from 'nestjs-ledger';
import { LedgerDashboardModule, type LedgerDashboardOptions } from 'nestjs-ledger/dashboard';
import { LedgerTestingModule } from 'nestjs-ledger/testing';
import { DashboardLedgers } from '../libs/ledger/src/dashboard/dashboard-ledgers.js';
import { createHash } from 'node:crypto';
import type { Server } from 'node:http';
import { networkInterfaces } from 'node:os';
import { afterEach, beforeAll, describe, expect, it, vi } from 'vitest';
import { buildIfStale } from './support/example-app.js';
import { EventStream } from './support/event-stream.js';

const billing = defineLedger({ name: 'billing' });

@Injectable()
class KeyRing {
  readonly key = 'open sesame';
}

@Module({ providers: [KeyRing], exports: [KeyRing] })
class KeyModule {}

@Injectable()
class KeyGuard implements CanActivate {
  constructor(private readonly ring: KeyRing) {}

  canActivate(context: ExecutionContext): boolean {
    const { query } = context.switchToHttp().getRequest<{ query: Record<string, string> }>();
    return query['key'] === this.ring.key;
  }
}

@Controller()
class HomeController {
  @Get()
  home(): string {
    return 'home';
  }
}

let app: INestApplication | undefined;
const streams: EventStream[] = [];

beforeAll(() => buildIfStale());
afterEach(async () => {
  vi.unstubAllEnvs();
  for (const stream of streams.splice(0)) stream.close();
  // A connection that the client keeps would hold the server open for seconds.
  (app?.getHttpServer() as Server | undefined)?.closeAllConnections();
  await app?.close();
  app = undefined;
});

interface Setup {
  readonly platform: Platform;
  readonly dashboards?: readonly LedgerDashboardOptions[];
  readonly prefix?: string;
  readonly host?: string;
}
type Platform = 'express' | 'fastify';

async function start({ platform, dashboards, prefix, host = '127.0.0.1' }: Setup): Promise<string> {
  const pages: DynamicModule[] = (dashboards ?? [{ path: '/ledger' }]).map((options) =>
    LedgerDashboardModule.forRoot(options),
  );
  const testing = await Test.createTestingModule({
    imports: [LedgerTestingModule.forRoot({ ledgers: [defaultLedger, billing] }), ...pages],
    controllers: [HomeController],
  }).compile();
  const adapter = platform === 'express' ? new ExpressAdapter() : new FastifyAdapter();
  app = testing.createNestApplication(adapter as ExpressAdapter);
  if (prefix !== undefined) app.setGlobalPrefix(prefix);
  await app.listen(0, host);
  return (await app.getUrl()).replace('[::1]', '127.0.0.1');
}

async function open(url: string, headers: Record<string, string> = {}): Promise<EventStream> {
  const stream = await EventStream.open(url, headers);
  streams.push(stream);
  return stream;
}

async function statusOf(url: string, headers: Record<string, string> = {}): Promise<number> {
  const abort = new AbortController();
  const { status } = await fetch(url, { headers, signal: abort.signal });
  // The connection goes, or it would hold the server open until the client forgets it.
  abort.abort();
  return status;
}

describe.each<Platform>(['express', 'fastify'])('the dashboard on %s', (platform) => {
  it('is one page that allows its own script and style and nothing else', async () => {
    const url = await start({ platform });
    const response = await fetch(`${url}/ledger`);
    expect(response.status).toBe(200);
    expect(response.headers.get('content-type')).toBe('text/html; charset=utf-8');
    const policy = response.headers.get('content-security-policy') ?? '';
    const html = await response.text();
    for (const [tag, directive] of [
      ['script', 'script-src'],
      ['style', 'style-src'],
    ] as const) {
      const inside = new RegExp(`<${tag}[^>]*>(.+?)</${tag}>`, 's').exec(html)?.[1] ?? '';
      expect(inside.length).toBeGreaterThan(1000);
      const hash = createHash('sha256').update(inside).digest('base64');
      expect(policy).toContain(`${directive} 'sha256-${hash}'`);
    }
    expect(policy).toContain("default-src 'none'");
    expect(policy).not.toMatch(/unsafe|\*|https?:/);
    expect(html).not.toMatch(/\b(src|href)="(?!data:|#)/);
    expect(html).not.toMatch(/ (style|on\w+)="/);
  });

  it('greets with figures, and goes on once a second', async () => {
    const url = await start({ platform });
    app?.get(LedgerService).record({ userId: 7, promptTokens: 1 });
    const stream = await open(`${url}/ledger/ledger-events`);
    expect(stream.headers.get('content-type')).toContain('text/event-stream');
    const hello = await stream.next('hello');
    expect(hello.data).toMatchObject({ ledger: 'billing', ledgers: ['billing', 'default'] });
    const other = await open(`${url}/ledger/ledger-events?ledger=default`);
    expect((await other.next('hello')).data.now).toMatchObject({ offered: 1, database: 'up' });
    const frame = await other.next('frame');
    expect(frame.data.now).toMatchObject({ written: 1, state: 'running', health: 'up' });
    const ids = [hello.id, (await stream.next('frame')).id, (await stream.next('frame')).id];
    expect(new Set(ids).size).toBe(3);
  });

  it('sends a page that comes back only what it missed, by header as by query', async () => {
    const url = await start({ platform });
    const first = await open(`${url}/ledger/ledger-events`);
    const { id } = await first.next('frame');
    await first.next('frame');
    first.close();
    const events = `${url}/ledger/ledger-events`;
    const byHeader = await open(events, { 'last-event-id': id });
    const byQuery = await open(`${events}?after=${id}`);
    const anew = await open(events);
    const missed = (await byHeader.next('hello')).data.points.length;
    expect(missed).toBeGreaterThanOrEqual(1);
    expect((await byQuery.next('hello')).data.points.length).toBe(missed);
    expect((await anew.next('hello')).data.points.length).toBeGreaterThan(missed);
  });

  it('answers an unknown ledger with 404', async () => {
    const url = await start({ platform });
    expect(await statusOf(`${url}/ledger/ledger-events?ledger=<script>`)).toBe(404);
  });

  it('does not hold a stop while somebody looks', async () => {
    const url = await start({ platform });
    const stream = await open(`${url}/ledger/ledger-events`);
    await stream.next('frame');
    const began = performance.now();
    await app?.close();
    expect(performance.now() - began).toBeLessThan(10_000);
    expect((await stream.next('closing')).data).toEqual({});
    await stream.ended;
    app = undefined;
  });

  it('refuses nobody who comes back while the process stops, but sends them away', async () => {
    const url = await start({ platform });
    app?.get(DashboardLedgers).beforeApplicationShutdown();
    const stream = await open(`${url}/ledger/ledger-events`);
    await stream.next('closing');
    await stream.ended;
  });

  it('asks its guards for the page and for the events, with what they inject', async () => {
    const dashboards = [{ path: 'ledger', guards: [KeyGuard], imports: [KeyModule] }];
    const url = await start({ platform, dashboards });
    const key = `?key=${encodeURIComponent('open sesame')}`;
    for (const path of ['/ledger', '/ledger/ledger-events']) {
      expect(await statusOf(url + path)).toBe(403);
      expect(await statusOf(url + path + key)).toBe(200);
    }
  });

  it('lets its guards decide in production and behind proxies', async () => {
    vi.stubEnv('NODE_ENV', 'production');
    const dashboards = [{ path: 'ledger', guards: [KeyGuard], imports: [KeyModule] }];
    const url = await start({ platform, dashboards });
    const page = `${url}/ledger?key=${encodeURIComponent('open sesame')}`;
    expect(await statusOf(page, { 'x-forwarded-for': '203.0.113.7' })).toBe(200);
  });

  it('is not there without guards in production, or through a proxy', async () => {
    const url = await start({ platform });
    for (const path of ['/ledger', '/ledger/ledger-events']) {
      expect(await statusOf(url + path, { 'X-Forwarded-For': '127.0.0.1' })).toBe(404);
      vi.stubEnv('NODE_ENV', 'production');
      expect(await statusOf(url + path)).toBe(404);
      vi.unstubAllEnvs();
      expect(await statusOf(url + path)).toBe(200);
    }
  });

  it('is not there without guards for another machine', async (context) => {
    const address = outerAddress();
    if (address === undefined) return context.skip('this machine has no other address');
    const url = await start({ platform, host: '0.0.0.0' });
    const { port } = new URL(url);
    expect(await statusOf(`http://${address}:${port}/ledger`)).toBe(404);
    expect(await statusOf(`http://127.0.0.1:${port}/ledger`)).toBe(200);
  });

  it('goes below a global prefix', async () => {
    const url = await start({ platform, prefix: 'api', dashboards: [{ path: '/ledger' }] });
    expect(await statusOf(`${url}/api/ledger`)).toBe(200);
    expect(await statusOf(`${url}/api/ledger/ledger-events`)).toBe(200);
    expect(await statusOf(`${url}/ledger`)).toBe(404);
  });

  it('shows the ledgers that it is told to, in that order, on as many pages as one likes', async () => {
    const dashboards = [{ path: 'all' }, { path: 'some', ledgers: [defaultLedger, billing] }];
    const url = await start({ platform, dashboards });
    const all = await open(`${url}/all/ledger-events`);
    const some = await open(`${url}/some/ledger-events`);
    expect((await all.next('hello')).data.ledgers).toEqual(['billing', 'default']);
    expect((await some.next('hello')).data.ledgers).toEqual(['default', 'billing']);
  });

  it('names a ledger that the application does not have at boot', async () => {
    const dashboards = [{ path: 'x', ledgers: [defineLedger({ name: 'absent' })] }];
    await expect(start({ platform, dashboards })).rejects.toThrow(
      "the application has no ledger 'absent' (it has: default, billing)",
    );
    app = undefined;
  });
});

function outerAddress(): string | undefined {
  const all = Object.values(networkInterfaces()).flatMap((each) => each ?? []);
  return all.find(({ family, internal }) => family === 'IPv4' && !internal)?.address;
}
