import { defaultLedger, defineLedger, LedgerService } from 'nestjs-ledger';
import { DashboardLedgers } from '../libs/ledger/src/dashboard/dashboard-ledgers.js';
import { createHash } from 'node:crypto';
import { afterEach, beforeAll, describe, expect, it, vi } from 'vitest';
import {
  billing,
  DashboardApp,
  KEY,
  KeyGuard,
  KeyModule,
  outerAddress,
  statusOf,
  type Platform,
} from './support/dashboard-app.js';
import { buildIfStale } from './support/example-app.js';

const dashboards = new DashboardApp();

beforeAll(() => buildIfStale());
afterEach(async () => {
  vi.unstubAllEnvs();
  await dashboards.stop();
});

describe.each<Platform>(['express', 'fastify'])('the dashboard on %s', (platform) => {
  it('is one page that allows its own script and style and nothing else', async () => {
    const url = await dashboards.start({ platform });
    const response = await fetch(`${url}/ledger?${KEY}`);
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
    const url = await dashboards.start({ platform });
    dashboards.app.get(LedgerService).record({ userId: 7, promptTokens: 1 });
    const stream = await dashboards.open(`${url}/ledger/ledger-events?${KEY}`);
    expect(stream.headers.get('content-type')).toContain('text/event-stream');
    const hello = await stream.next('hello');
    expect(hello.data).toMatchObject({ ledger: 'billing', ledgers: ['billing', 'default'] });
    const other = await dashboards.open(`${url}/ledger/ledger-events?${KEY}&ledger=default`);
    expect((await other.next('hello')).data.now).toMatchObject({ offered: 1, database: 'up' });
    const frame = await other.next('frame');
    expect(frame.data.now).toMatchObject({ written: 1, state: 'running', health: 'up' });
    const ids = [hello.id, (await stream.next('frame')).id, (await stream.next('frame')).id];
    expect(new Set(ids).size).toBe(3);
  });

  it('sends a page that comes back only what it missed, by header as by query', async () => {
    const url = await dashboards.start({ platform });
    const first = await dashboards.open(`${url}/ledger/ledger-events?${KEY}`);
    const { id } = await first.next('frame');
    await first.next('frame');
    first.close();
    const events = `${url}/ledger/ledger-events?${KEY}`;
    const byHeader = await dashboards.open(events, { 'last-event-id': id });
    const byQuery = await dashboards.open(`${events}&after=${id}`);
    const fresh = await dashboards.open(events);
    const missed: unknown[] = (await byHeader.next('hello')).data.points;
    expect(missed.length).toBeGreaterThanOrEqual(1);
    // A second may have passed between the two.
    const points: unknown[] = (await byQuery.next('hello')).data.points;
    expect(points.slice(0, missed.length)).toEqual(missed);
    expect((await fresh.next('hello')).data.points.length).toBeGreaterThan(missed.length);
  });

  it('answers an unknown ledger with 404', async () => {
    const url = await dashboards.start({ platform });
    expect(await statusOf(`${url}/ledger/ledger-events?${KEY}&ledger=<script>`)).toBe(404);
  });

  it('does not hold a stop while somebody looks', async () => {
    const url = await dashboards.start({ platform });
    const stream = await dashboards.open(`${url}/ledger/ledger-events?${KEY}`);
    await stream.next('frame');
    const began = performance.now();
    await dashboards.app.close();
    expect(performance.now() - began).toBeLessThan(10_000);
    expect((await stream.next('closing')).data).toEqual({});
    await stream.ended;
  });

  it('refuses nobody who comes back while the process stops, but sends them away', async () => {
    const url = await dashboards.start({ platform });
    dashboards.app.get(DashboardLedgers).beforeApplicationShutdown();
    const stream = await dashboards.open(`${url}/ledger/ledger-events?${KEY}`);
    await stream.next('closing');
    await stream.ended;
  });

  it('asks its guards for the page and for the events, with what they inject', async () => {
    const pages = [{ path: 'ledger', guards: [KeyGuard], imports: [KeyModule] }];
    const url = await dashboards.start({ platform, dashboards: pages });
    const key = `?key=${encodeURIComponent('open sesame')}`;
    for (const path of ['/ledger', '/ledger/ledger-events']) {
      expect(await statusOf(url + path)).toBe(403);
      expect(await statusOf(url + path + key)).toBe(200);
    }
  });

  it('lets its guards decide in production and behind proxies', async () => {
    vi.stubEnv('NODE_ENV', 'production');
    const pages = [{ path: 'ledger', guards: [KeyGuard], imports: [KeyModule] }];
    const url = await dashboards.start({ platform, dashboards: pages });
    const page = `${url}/ledger?key=${encodeURIComponent('open sesame')}`;
    expect(await statusOf(page, { 'x-forwarded-for': '203.0.113.7' })).toBe(200);
  });

  it('is not there without guards in production, or through a proxy', async () => {
    const url = await dashboards.start({ platform });
    for (const path of [`/ledger?${KEY}`, `/ledger/ledger-events?${KEY}`]) {
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
    const url = await dashboards.start({ platform, host: '0.0.0.0' });
    const { port } = new URL(url);
    expect(await statusOf(`http://${address}:${port}/ledger?${KEY}`)).toBe(404);
    expect(await statusOf(`http://127.0.0.1:${port}/ledger?${KEY}`)).toBe(200);
  });

  it('goes below a global prefix', async () => {
    const url = await dashboards.start({
      platform,
      prefix: 'api',
      dashboards: [{ path: '/ledger' }],
    });
    expect(await statusOf(`${url}/api/ledger?${KEY}`)).toBe(200);
    expect(await statusOf(`${url}/api/ledger/ledger-events?${KEY}`)).toBe(200);
    expect(await statusOf(`${url}/ledger?${KEY}`)).toBe(404);
  });

  it('shows the chosen ledgers of each page, in the given order', async () => {
    const pages = [{ path: 'all' }, { path: 'some', ledgers: [defaultLedger, billing] }];
    const url = await dashboards.start({ platform, dashboards: pages });
    const all = await dashboards.open(`${url}/all/ledger-events?${KEY}`);
    const some = await dashboards.open(`${url}/some/ledger-events?${KEY}`);
    expect((await all.next('hello')).data.ledgers).toEqual(['billing', 'default']);
    expect((await some.next('hello')).data.ledgers).toEqual(['default', 'billing']);
  });

  it('names a ledger that the application does not have at boot', async () => {
    const pages = [{ path: 'x', ledgers: [defineLedger({ name: 'absent' })] }];
    await expect(dashboards.start({ platform, dashboards: pages })).rejects.toThrow(
      "the application has no ledger 'absent' (it has: default, billing)",
    );
  });
});
