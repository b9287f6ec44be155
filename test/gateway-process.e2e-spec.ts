import { readPostmaster } from '@app/embedded-postgres';
import { chmod, mkdtemp, readdir, rm } from 'node:fs/promises';
import { createServer, type AddressInfo } from 'node:net';
import { once } from 'node:events';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, afterEach, beforeAll, describe, expect, it, vi } from 'vitest';
import { GatewayProcess } from './support/gateway-process.js';
import { PATIENCE } from './support/patience.js';

let dataDir: string;
let gateway: GatewayProcess | undefined;

beforeAll(async () => {
  dataDir = await mkdtemp(join(tmpdir(), 'nestjs-ledger-gateway-'));
  await chmod(dataDir, 0o755);
});
afterEach(() => gateway?.end('SIGKILL'));
afterAll(() => rm(dataDir, { recursive: true, force: true }));

async function start(environment: Record<string, string>): Promise<string> {
  gateway = await GatewayProcess.spawn({ DATA_DIR: dataDir, ...environment });
  return gateway.url();
}

async function ask(url: string, user: string): Promise<void> {
  const messages = [{ role: 'user', content: 'Hello' }];
  const response = await fetch(`${url}/v1/chat/completions`, {
    method: 'POST',
    headers: { 'content-type': 'application/json' },
    body: JSON.stringify({ model: 'gpt-4o', user, messages }),
  });
  expect(response.status).toBe(200);
  await response.arrayBuffer();
}

async function entriesOf(url: string, user: string): Promise<number> {
  const response = await fetch(`${url}/v1/usage/summary?userId=${user}`);
  return ((await response.json()) as { entries: number }).entries;
}

/** What it took, and how much of that could still be lost with it. */
async function taken(url: string): Promise<{ queued: number; unsynced: number }> {
  const text = await (await fetch(`${url}/metrics`)).text();
  const queued = /^ledger_entries_total\{.*outcome="queued".*\} (\d+)/m.exec(text)?.[1];
  const unsynced = /^ledger_journal_unsynced_entries\{.*\} (\d+)/m.exec(text)?.[1];
  return { queued: Number(queued), unsynced: Number(unsynced) };
}

describe('the gateway as a process', () => {
  it('keeps what it took before SIGTERM on its own database, and leaves no server', async () => {
    const url = await start({ LEDGER_ASYNC_FLUSH_MS: '600000' });
    await ask(url, 'kept');
    const end = await gateway?.end('SIGTERM');
    expect(end).toMatchObject({ code: 0, signal: null });
    expect(gateway?.output).toContain('[async-ledger] drained: 1 written, 0 duplicate');
    expect(await readPostmaster(join(dataDir, 'postgres'))).toBeUndefined();
    const again = await start({});
    expect(await entriesOf(again, 'kept')).toBe(1);
    expect(gateway?.output).not.toContain('WARNING');
  });

  it('has every call whose turn was over when it was killed, though only the journal had it', async () => {
    const calls = 25;
    const url = await start({ LEDGER_ASYNC_FLUSH_MS: '600000' });
    for (let i = 0; i < calls; i++) await ask(url, 'killed');
    // An answer's entry is recorded after its end, and written to the file beside the loop.
    const onFile = { queued: calls, unsynced: 0 };
    await vi.waitFor(async () => expect(await taken(url)).toEqual(onFile), PATIENCE);
    await gateway?.end('SIGKILL');
    const again = await start({});
    await vi.waitFor(async () => expect(await entriesOf(again, 'killed')).toBe(calls), PATIENCE);
    // Rows are there a moment before the folder is gone and the log says so.
    const replayed = /replayed 25 entries of the journal of run [0-9a-f]{8}/;
    await vi.waitFor(() => expect(gateway?.output).toMatch(replayed), PATIENCE);
    await gateway?.end('SIGTERM');
    expect(await readdir(join(dataDir, 'journal', 'default'))).toEqual([]);
  });

  it('prints where to look and a line to try, without colours', async () => {
    await start({});
    expect(gateway?.output).toMatch(/health +http:\/\/localhost:\d+\/health/);
    expect(gateway?.output).toMatch(/curl http:\/\/localhost:\d+\/v1\/chat\/completions /);
    expect(gateway?.output).not.toContain('\u001b[');
  });

  it('starts and serves while its database is away, and says so where one looks', async () => {
    const url = await start({ DATABASE_URL: 'postgres://nobody@127.0.0.1:1/nowhere' });
    await ask(url, 'early');
    const statusOf = async (path: string) => (await fetch(url + path)).status;
    expect(await statusOf('/health/startup')).toBe(503);
    expect(await statusOf('/health/live')).toBe(200);
    expect(await statusOf('/health/ready')).toBe(200);
    await vi.waitFor(async () => expect(await statusOf('/health')).toBe(503), PATIENCE);
    expect(await statusOf('/v1/usage/summary')).toBe(503);
  });

  it('ends with an error, and with its server stopped, if its port is taken', async () => {
    const holder = createServer().listen(0, '127.0.0.1');
    await once(holder, 'listening');
    const { port } = holder.address() as AddressInfo;
    gateway = await GatewayProcess.spawn({ DATA_DIR: dataDir, PORT: String(port) });
    expect(await gateway.ended()).toMatchObject({ code: 1 });
    holder.close();
    expect(gateway.output).toContain('EADDRINUSE');
    expect(await readPostmaster(join(dataDir, 'postgres'))).toBeUndefined();
  });

  it('names every wrong setting and starts no database', async () => {
    gateway = await GatewayProcess.spawn({ PORT: 'eighty', DATA_DIR: join(dataDir, 'none') });
    expect(await gateway.ended()).toMatchObject({ code: 1 });
    expect(gateway.output).toContain('PORT: ');
    expect(await readPostmaster(join(dataDir, 'none', 'postgres'))).toBeUndefined();
  });
});
