import { Module, type MiddlewareConsumer, type NestModule } from '@nestjs/common';
import { RouterModule } from '@nestjs/core';
import { LedgerDashboardModule } from 'nestjs-ledger/dashboard';
import type { ServerResponse } from 'node:http';
import { connect } from 'node:net';
import { afterEach, beforeAll, describe, expect, it, vi } from 'vitest';
import {
  DashboardApp,
  KEY,
  KeyGuard,
  KeyModule,
  outerAddress,
  statusOf,
  type Platform,
} from './support/dashboard-app.js';
import { buildIfStale } from './support/example-app.js';

/** Gives each answer a cookie before any guard is asked, as a session does. */
@Module({})
class SessionModule implements NestModule {
  configure(consumer: MiddlewareConsumer): void {
    consumer
      .apply((_request: unknown, response: ServerResponse, next: () => void) => {
        response.setHeader('Set-Cookie', ['session=1']);
        next();
      })
      .forRoutes('*path');
  }
}

const dashboards = new DashboardApp();

beforeAll(() => buildIfStale());
afterEach(async () => {
  vi.unstubAllEnvs();
  await dashboards.stop();
});

describe.each<Platform>(['express', 'fastify'])('a dashboard without guards on %s', (platform) => {
  it('opens by the link in the log, and from then on by its cookie', async () => {
    vi.stubEnv('LEDGER_DASHBOARD_TOKEN', '');
    const lines: string[] = [];
    await dashboards.start({ platform, lines });
    const [link, ...others] = linksIn(lines);
    expect(others).toEqual([]);
    const { origin, pathname, searchParams } = new URL(link!.replace('localhost', '127.0.0.1'));
    const token = searchParams.get('ledger-token') ?? '';
    expect(token).toMatch(/^[\w-]{32}$/);
    const page = origin + pathname;
    for (const address of [page, `${page}/ledger-events`, `${page}?ledger-token=${token}x`]) {
      expect(await statusOf(address)).toBe(404);
    }
    const first = await fetch(`${page}?ledger-token=${token}`);
    expect(first.status).toBe(200);
    expect(await first.text()).toContain('<h1>Usage ledger');
    const cookie = first.headers.getSetCookie().at(-1)?.split(';')[0] ?? '';
    expect(await statusOf(page, { cookie })).toBe(200);
    const stream = await dashboards.open(`${page}/ledger-events`, { cookie });
    await stream.next('hello');
    expect(await statusOf(page, { cookie: `${cookie}x` })).toBe(404);
    expect(lines.filter((line) => line.includes(token))).toHaveLength(1);
  });

  it('keeps the cookies of the application beside its own', async () => {
    const url = await dashboards.start({ platform, imports: [SessionModule] });
    const { headers } = await fetch(`${url}/ledger?${KEY}`);
    expect(headers.getSetCookie().map((each) => each.split('=')[0])).toEqual([
      'session',
      expect.stringMatching(/^nestjs-ledger-/),
    ]);
  });

  it('is not there behind a plain proxy, which looks like a browser on the machine', async () => {
    const url = new URL(await dashboards.start({ platform, host: '0.0.0.0' }));
    // HTTP/1.0, the host rewritten, and no word about whom it asks for.
    for (const path of ['/ledger', '/ledger/ledger-events', '/ledger/']) {
      const head = `GET ${path} HTTP/1.0\r\nHost: localhost:${url.port}\r\n\r\n`;
      expect(await rawAnswer(Number(url.port), head)).toMatch(/^HTTP\/1\.1 404 /);
    }
  });

  it('shows where each page is, below a prefix, in a routed module, and at the root', async () => {
    const lines: string[] = [];
    const pages = ['/ledger', 'a/b/', 'bare/page'].map((path) => ({ path }));
    await dashboards.start({ platform, lines, prefix: 'api', dashboards: pages });
    const links = linksIn(lines);
    expect(links.map((link) => new URL(link).pathname)).toEqual([
      '/api/ledger',
      '/api/a/b',
      '/bare/page',
    ]);
    for (const link of links) {
      expect(await statusOf(link.replace('localhost', '127.0.0.1')), link).toBe(200);
    }
  });

  it('shows where it is below the path of a routed module', async () => {
    const lines: string[] = [];
    const route = { path: 'admin', module: LedgerDashboardModule };
    await dashboards.start({
      platform,
      lines,
      dashboards: [{ path: '/' }],
      imports: [RouterModule.register([route])],
    });
    const [link] = linksIn(lines);
    expect(new URL(link!).pathname).toBe('/admin');
    expect(await statusOf(link!.replace('localhost', '127.0.0.1'))).toBe(200);
  });

  it('shows no link in production, with guards, or where nobody could follow it', async (context) => {
    const lines: string[] = [];
    vi.stubEnv('NODE_ENV', 'production');
    vi.stubEnv('LEDGER_DASHBOARD_TOKEN', 'short');
    await dashboards.start({ platform, lines });
    await dashboards.stop();
    vi.unstubAllEnvs();
    await dashboards.start({
      platform,
      lines,
      dashboards: [{ path: 'ledger', guards: [KeyGuard], imports: [KeyModule] }],
    });
    expect(linksIn(lines)).toEqual([]);
    const address = outerAddress();
    if (address === undefined) return context.skip('this machine has no other address');
    await dashboards.stop();
    await dashboards.start({ platform, lines, host: address });
    expect(linksIn(lines)).toEqual([]);
    expect(lines.join('\n')).toContain(`the server listens on ${address} only. Give it guards.`);
  });

  it('does not start with a token that could be guessed', async () => {
    vi.stubEnv('LEDGER_DASHBOARD_TOKEN', 'hunter2');
    await expect(dashboards.start({ platform })).rejects.toThrow(
      /^LEDGER_DASHBOARD_TOKEN must have 16 to 256 characters/,
    );
  });
});

/** The links that the log shows. */
function linksIn(lines: readonly string[]): string[] {
  return lines.flatMap((line) => /https?:\/\/localhost:\d+\S*$/.exec(line)?.[0] ?? []);
}

/** Sends a request as it is, and reads the answer to its end. */
async function rawAnswer(port: number, request: string): Promise<string> {
  const socket = connect(port, '127.0.0.1').setEncoding('latin1');
  socket.write(request);
  let text = '';
  for await (const piece of socket) text += piece;
  return text;
}
