import { Logger } from '@nestjs/common';
import { ApplicationConfig, HttpAdapterHost } from '@nestjs/core';
import { once } from 'node:events';
import { createServer, type Server } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createServer as createTlsServer } from 'node:tls';
import { afterEach, describe, expect, it, vi } from 'vitest';
import { DashboardLink } from './dashboard-link.js';
import { DashboardToken } from './dashboard-token.js';

const TOKEN = 'a-token-of-this-test';

let server: Server | undefined;
afterEach(() => {
  vi.restoreAllMocks();
  vi.unstubAllEnvs();
  server?.close();
});

/** @returns the log lines when this server listens */
async function told(listening: Server, at: [number, string] | [string]): Promise<string[]> {
  server = listening;
  listening.listen(...(at as [number, string]));
  await once(listening, 'listening');
  const lines: string[] = [];
  for (const level of ['log', 'warn'] as const) {
    vi.spyOn(Logger.prototype, level).mockImplementation((line: unknown) => {
      lines.push(`${level}: ${String(line)}`);
    });
  }
  const host = new HttpAdapterHost();
  host.httpAdapter = { getHttpServer: () => listening } as never;
  const place = { path: 'ledger', modulePath: () => '' };
  new DashboardLink(new DashboardToken(TOKEN), place, host, new ApplicationConfig()).onModuleInit();
  expect(lines).toEqual([]);
  host.listening = true;
  return lines;
}

const portOf = (): number => (server?.address() as { port: number }).port;

describe('DashboardLink', () => {
  it.each(['127.0.0.1', '0.0.0.0', '::', '::1'])('shows a page of a server on %s', async (host) => {
    const lines = await told(createServer(), [0, host]);
    const link = `http://localhost:${portOf()}/ledger?ledger-token=${TOKEN}`;
    expect(lines).toEqual([`log: dashboard, for a browser on this machine: ${link}`]);
  });

  it('shows the address of an encrypted page as such', async () => {
    const [line] = await told(createTlsServer(), [0, '127.0.0.1']);
    expect(line).toContain(`https://localhost:${portOf()}/ledger?`);
  });

  it('shows nothing for a server on a socket in the file system', async () => {
    const path = join(tmpdir(), `dashboard-link-${process.pid}.sock`);
    expect(await told(createServer(), [path])).toEqual([]);
  });

  it('shows no token in production, and says that the page is closed', async () => {
    vi.stubEnv('NODE_ENV', 'production');
    expect(await told(createServer(), [0, '127.0.0.1'])).toEqual([
      'log: the dashboard at /ledger is closed: in production it needs guards',
    ]);
  });
});
