import { randomUUID } from 'node:crypto';
import pg from 'pg';
import { afterAll, afterEach, beforeAll, describe, expect, inject, it } from 'vitest';
import { startFatalServer } from '../postgres/fixtures/fatal-server.fixture.js';
import { startSilentServer, startTcpProxy } from '../postgres/fixtures/tcp-proxy.fixture.js';
import type { FakeServer } from '../postgres/fixtures/tcp-proxy.fixture.js';
import { defineLedger } from '../define-ledger.js';
import { isLedgerError } from '../errors/is-ledger-error.js';
import type { PostgresOptions } from '../postgres/open.js';
import { runMigrations } from './fixtures/wired-migrations.fixture.js';

const schema = `limits ${randomUUID()}`;
const usage = defineLedger({ schema });
const servers: FakeServer[] = [];
let admin: pg.Client;

function options(url = inject('databaseUrl')): PostgresOptions {
  return { type: 'postgres', url };
}

async function keep<T extends FakeServer>(starting: Promise<T>): Promise<T> {
  const server = await starting;
  servers.push(server);
  return server;
}

beforeAll(async () => {
  admin = new pg.Client({ connectionString: inject('databaseUrl') });
  await admin.connect();
});

afterEach(async () => {
  for (const server of servers.splice(0)) await server.close();
  await admin.query(`DROP SCHEMA IF EXISTS "${schema}" CASCADE`);
});

afterAll(() => admin.end());

describe('the time limit of runMigrations', () => {
  it('holds for a server that accepts and never answers', async () => {
    const server = await keep(startSilentServer(inject('databaseUrl')));
    const startedAt = performance.now();
    const failure = runMigrations(options(server.url), usage, { timeoutMs: 300 });
    await expect(failure).rejects.toSatisfy((error) => isLedgerError(error, 'SINK_TRANSIENT'));
    expect(performance.now() - startedAt).toBeLessThan(10_000);
    await expect.poll(() => server.open.size).toBe(0);
  });

  it('holds for a network that goes silent after the request for the lock', async () => {
    const proxy = await keep(startTcpProxy(inject('databaseUrl')));
    const startedAt = performance.now();
    const failure = runMigrations(options(proxy.url), usage, { timeoutMs: 5_000 });
    const rejection = expect(failure).rejects.toSatisfy((error) =>
      isLedgerError(error, 'SINK_TRANSIENT'),
    );
    await expect.poll(proxy.sent, { interval: 1 }).toContain('pg_try_advisory_xact_lock');
    proxy.isFrozen = true;
    await rejection;
    expect(performance.now() - startedAt).toBeLessThan(10_000);
    await expect.poll(() => proxy.open.size).toBe(0);
  });

  it('holds for a lock that is never released, and changes nothing then', async () => {
    const proxy = await keep(startTcpProxy(inject('databaseUrl')));
    await runMigrations(options(proxy.url), usage);
    const key = /pg_try_advisory_xact_lock\((-?\d+)\)/.exec(proxy.sent())?.[1];
    await admin.query(`DROP SCHEMA "${schema}" CASCADE`);
    await admin.query('SELECT pg_advisory_lock($1)', [key]);
    try {
      const failure = runMigrations(options(), usage, { timeoutMs: 700, pollMs: 20 });
      await expect(failure).rejects.toSatisfy((error) => isLedgerError(error, 'SINK_TRANSIENT'));
      const { rows } = await admin.query('SELECT FROM pg_namespace WHERE nspname = $1', [schema]);
      expect(rows).toEqual([]);
    } finally {
      await admin.query('SELECT pg_advisory_unlock($1)', [key]);
    }
    expect(await runMigrations(options(), usage)).toHaveLength(4);
  });

  it("ends early at the caller's signal", async () => {
    const server = await keep(startSilentServer(inject('databaseUrl')));
    const end = new AbortController();
    const failure = runMigrations(options(server.url), usage, { signal: end.signal });
    await expect.poll(() => server.open.size).toBe(1);
    const startedAt = performance.now();
    end.abort();
    await expect(failure).rejects.toSatisfy((error) => isLedgerError(error, 'SINK_TRANSIENT'));
    expect(performance.now() - startedAt).toBeLessThan(10_000);
  });

  it('does not connect if it was over before the start', async () => {
    const server = await keep(startSilentServer(inject('databaseUrl')));
    const failure = runMigrations(options(server.url), usage, { signal: AbortSignal.abort() });
    await expect(failure).rejects.toSatisfy((error) => isLedgerError(error, 'SINK_TRANSIENT'));
    expect(server.open.size).toBe(0);
  });
});

describe('a session ended in the packet that answers its log-in', () => {
  it('fails the migrations, and does not end the process', async () => {
    // The first has the lock, the second makes the tables.
    const server = await startFatalServer(inject('databaseUrl'), 2);
    const uncaught: unknown[] = [];
    const note = (error: unknown): void => void uncaught.push(error);
    process.on('uncaughtException', note);
    try {
      await expect(runMigrations(options(server.url), usage)).rejects.toThrow();
      expect(uncaught).toEqual([]);
      expect(await runMigrations(options(server.url), usage)).toHaveLength(4);
    } finally {
      process.off('uncaughtException', note);
      await server.close();
    }
  });
});
