import { startEmbeddedPostgres, type EmbeddedPostgres } from '@app/embedded-postgres';
import { chmod, mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as pause } from 'node:timers/promises';
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest';
import { GatewayProcess } from '../support/gateway-process.js';

const OUTAGE_MS = 10_000;
const CLIENTS = 10;
/** Requests a client makes a second, at most: enough for a steady load on a shared machine. */
const PAUSE_MS = 50;

let home: string;
let postgres: EmbeddedPostgres;
let gateway: GatewayProcess | undefined;

beforeAll(async () => {
  home = await mkdtemp(join(tmpdir(), 'nestjs-ledger-outage-'));
  await chmod(home, 0o755);
  postgres = await startEmbeddedPostgres({ dataDir: join(home, 'postgres') });
});
afterEach(() => gateway?.end('SIGKILL'));
afterAll(async () => {
  await postgres.dispose();
  await rm(home, { recursive: true, force: true });
});

async function start(): Promise<string> {
  gateway = await GatewayProcess.spawn({
    DATABASE_URL: postgres.url,
    DATA_DIR: home,
    LEDGER_ASYNC_FLUSH_MS: '100',
  });
  return gateway.url();
}

async function chat(url: string, user: string): Promise<number> {
  const response = await fetch(`${url}/v1/chat/completions`, {
    method: 'POST',
    headers: { 'content-type': 'application/json' },
    body: JSON.stringify({
      model: 'gpt-4o',
      user,
      messages: [{ role: 'user', content: 'Hello' }],
    }),
  });
  await response.arrayBuffer();
  return response.status;
}

/** Sends requests until it is stopped; resolves to their statuses. */
async function load(url: string, user: string, signal: AbortSignal): Promise<number[]> {
  const statuses: number[] = [];
  while (!signal.aborted) {
    statuses.push(await chat(url, user));
    await pause(PAUSE_MS);
  }
  return statuses;
}

interface Health {
  status: string;
  details: { ledger: { status: string; database: string; reason?: string; state: string } };
}

async function health(url: string, path = ''): Promise<{ code: number; body: Health }> {
  const response = await fetch(`${url}/health${path}`);
  return { code: response.status, body: (await response.json()) as Health };
}

async function entriesOf(url: string, user: string): Promise<number> {
  const response = await fetch(`${url}/v1/usage/summary?userId=${user}`);
  return ((await response.json()) as { entries: number }).entries;
}

/** Looks again and again, since a server takes a while to come back. */
async function until(isTrue: () => Promise<boolean>, timeoutMs = 20_000): Promise<void> {
  const deadline = Date.now() + timeoutMs;
  while (!(await isTrue().catch(() => false))) {
    if (Date.now() > deadline) throw new Error('it did not come true in time');
    await pause(100);
  }
}

describe('a database that goes away', { timeout: 90_000 }, () => {
  it('for ten seconds under load takes no readiness, refuses no request and loses no entry', async () => {
    const url = await start();
    await until(async () => (await health(url, '/startup')).code === 200);
    const stop = new AbortController();
    const clients = Array.from({ length: CLIENTS }, () => load(url, 'outage', stop.signal));
    await pause(1000);
    await postgres.kill();
    const codes = new Set<number>();
    const live = new Set<number>();
    const downUntil = Date.now() + OUTAGE_MS;
    while (Date.now() < downUntil) {
      codes.add((await health(url, '/ready')).code);
      live.add((await health(url, '/live')).code);
      await pause(250);
    }
    const away = await health(url);
    expect(away).toMatchObject({ code: 503, body: { details: { ledger: { database: 'away' } } } });
    await postgres.restart();
    await until(async () => (await health(url)).code === 200);
    stop.abort();
    const statuses = (await Promise.all(clients)).flat();
    expect(codes).toEqual(new Set([200]));
    expect(live).toEqual(new Set([200]));
    expect(new Set(statuses)).toEqual(new Set([200]));
    expect(statuses.length).toBeGreaterThan(CLIENTS * 20);
    await until(async () => (await entriesOf(url, 'outage')) === statuses.length);
  });

  it('before the start lets the application start, keeps its entries and writes them all', async () => {
    await postgres.kill();
    const url = await start();
    for (let i = 0; i < 5; i++) expect(await chat(url, 'early')).toBe(200);
    expect(await health(url, '/startup')).toMatchObject({ code: 503 });
    const away = await health(url);
    expect(away.body.details.ledger).toMatchObject({ status: 'down', database: 'away' });
    expect(away.body.details.ledger.reason).toMatch(/database/);
    await postgres.restart();
    await until(async () => (await health(url, '/startup')).code === 200);
    await until(async () => (await entriesOf(url, 'early')) === 5);
    expect((await health(url)).body.details.ledger.state).toBe('running');
  });
});
