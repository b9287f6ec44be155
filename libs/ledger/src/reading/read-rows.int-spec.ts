import { DataSource } from 'typeorm';
import { afterAll, afterEach, beforeAll, describe, expect, inject, it } from 'vitest';
import {
  CLOCK,
  createReadingDatabase,
  readerOf as readerOn,
} from './fixtures/ledger-reading.fixture.js';
import type { ReadingDatabase } from './fixtures/ledger-reading.fixture.js';
import { startTcpProxy } from '../postgres/fixtures/tcp-proxy.fixture.js';
import { defineLedger } from '../define-ledger.js';
import type { LedgerDefinition } from '../define-ledger.js';
import { isLedgerError } from '../errors/is-ledger-error.js';
import { tableNames } from '../postgres/table-names.js';
import { PgConnections } from '../postgres/pg-connections.js';
import { UsageReader } from './usage-reader.js';

let database: ReadingDatabase;
let usage: LedgerDefinition;
let table: string;
const opened: DataSource[] = [];

/** A DataSource with one connection, so that a leaked slot makes a read fail. */
async function oneConnection(url = inject('databaseUrl')): Promise<DataSource> {
  const dataSource = new DataSource({
    type: 'postgres',
    url,
    poolSize: 1,
    connectTimeoutMS: 5_000,
  });
  opened.push(await dataSource.initialize());
  return dataSource;
}

function readerOf(dataSource: DataSource, timeoutMs = 5_000): UsageReader {
  return readerOn(dataSource, usage, timeoutMs);
}

/** Blocks every read until the returned function is called. */
async function lockTable(): Promise<() => Promise<unknown>> {
  await database.client.query(`BEGIN; LOCK TABLE ${table} IN ACCESS EXCLUSIVE MODE`);
  return () => database.client.query('ROLLBACK');
}

beforeAll(async () => {
  database = await createReadingDatabase(inject('databaseUrl'));
  usage = defineLedger({ schema: database.schema });
  table = tableNames(usage).sqlEntries;
  await database.open(usage);
});

afterEach(async () => {
  for (const dataSource of opened.splice(0)) await dataSource.destroy();
});

afterAll(() => database.drop());

describe('a read', () => {
  it('is cancelled by the server when its time is over, and keeps the connection', async () => {
    const dataSource = await oneConnection();
    const [{ pid }] = await dataSource.query('SELECT pg_backend_pid() AS pid');
    const unlock = await lockTable();
    try {
      await expect(readerOf(dataSource, 3_000).summary({})).rejects.toMatchObject({
        code: 'LEDGER_READ',
        reason: 'timeout',
        sqlState: '55P03',
      });
    } finally {
      await unlock();
    }
    expect(await readerOf(dataSource).summary({})).toMatchObject({ entries: 0 });
    expect(await dataSource.query('SELECT pg_backend_pid() AS pid')).toEqual([{ pid }]);
    expect(await dataSource.query('SHOW statement_timeout')).toEqual([{ statement_timeout: '0' }]);
  });

  it('does not wait forever for a connection, and loses no slot of the pool', async () => {
    const dataSource = await oneConnection();
    const runner = dataSource.createQueryRunner();
    await runner.connect();
    await expect(readerOf(dataSource, 100).summary({})).rejects.toMatchObject({
      reason: 'timeout',
      sqlState: undefined,
    });
    await runner.release();
    expect(await readerOf(dataSource).summary({})).toMatchObject({ entries: 0 });
  });

  it('does not wait for a silent network, and the next one makes a new connection', async () => {
    const proxy = await startTcpProxy(inject('databaseUrl'));
    try {
      const dataSource = await oneConnection(proxy.url);
      await readerOf(dataSource).summary({});
      proxy.isFrozen = true;
      const startedAt = performance.now();
      await expect(readerOf(dataSource, 300).summary({})).rejects.toMatchObject({
        reason: 'timeout',
      });
      expect(performance.now() - startedAt).toBeLessThan(10_000);
      await expect.poll(() => proxy.open.size).toBe(0);
      proxy.isFrozen = false;
      expect(await readerOf(dataSource).summary({})).toMatchObject({ entries: 0 });
    } finally {
      await proxy.close();
    }
  });

  it('fails with the SQLSTATE if its connection is killed, and the next one makes a new connection', async () => {
    const dataSource = await oneConnection();
    const [{ pid }] = await dataSource.query('SELECT pg_backend_pid() AS pid');
    const unlock = await lockTable();
    const failure = readerOf(dataSource).summary({});
    const rejection = expect(failure).rejects.toMatchObject({
      reason: 'failed',
      sqlState: '57P01',
    });
    await expect
      .poll(async () => {
        const sql = `SELECT FROM pg_locks WHERE pid = $1 AND NOT granted`;
        return (await database.dataSource.query<unknown[]>(sql, [pid])).length;
      })
      .toBe(1);
    await database.dataSource.query('SELECT pg_terminate_backend($1)', [pid]);
    await rejection;
    await unlock();
    expect(await readerOf(dataSource).summary({})).toMatchObject({ entries: 0 });
  });

  it('shows neither SQL nor value when the server refuses, and keeps the connection', async () => {
    const dataSource = await oneConnection();
    const nowhere = defineLedger({ schema: database.schema, table: 'nowhere' });
    const missing = readerOn(dataSource, nowhere);
    const error = await missing.summary({ userId: 424242 }).catch((reason: unknown) => reason);
    expect(isLedgerError(error, 'LEDGER_READ')).toBe(true);
    expect(error).toMatchObject({ reason: 'failed', sqlState: '42P01' });
    expect(error).not.toHaveProperty('cause');
    expect((error as Error).stack).not.toMatch(/nowhere|SELECT|424242/);
    expect(await readerOf(dataSource).summary({})).toMatchObject({ entries: 0 });
  });

  it('rejects if the DataSource is not initialised or has no server', async () => {
    const idle = new DataSource({ type: 'postgres', url: inject('databaseUrl') });
    await expect(readerOf(idle).summary({})).rejects.toMatchObject({ reason: 'failed' });
    const proxy = await startTcpProxy(inject('databaseUrl'));
    const { url } = proxy;
    await proxy.close();
    const refused = new DataSource({ type: 'postgres', url });
    const connections = new PgConnections({ dataSource: () => refused, ownsDataSource: true });
    const reader = new UsageReader({ definition: usage, connections, asOf: () => CLOCK });
    await expect(reader.summary({})).rejects.toMatchObject({
      reason: 'failed',
      sqlState: 'ECONNREFUSED',
      message: 'ledger read: read got no answer from the database (ECONNREFUSED)',
    });
  });

  it('changes nothing, with any statement', async () => {
    const proxy = await startTcpProxy(inject('databaseUrl'));
    try {
      const dataSource = await oneConnection(proxy.url);
      await readerOf(dataSource).listRecent({ userId: 1 });
      expect(proxy.sent()).toContain("set_config('transaction_read_only', 'on', true)");
    } finally {
      await proxy.close();
    }
  });
});
