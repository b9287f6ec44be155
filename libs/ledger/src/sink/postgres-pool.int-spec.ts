import { afterEach, beforeEach, describe, expect, inject, it, vi } from 'vitest';
import type { DataSource } from 'typeorm';
import { startTcpProxy, type TcpProxy } from '../postgres/fixtures/tcp-proxy.fixture.js';
import { AGAIN, ATTEMPT, refusal, SinksUnderTest } from './fixtures/sinks-under-test.fixture.js';
import { PgConnections } from '../postgres/pg-connections.js';
import { PostgresSink } from './postgres.sink.js';

let test: SinksUnderTest;
let proxy: TcpProxy;

beforeEach(async () => {
  test = await SinksUnderTest.create(inject('databaseUrl'));
  proxy = await startTcpProxy(test.database.url);
});
afterEach(async () => {
  await test.closeSinks();
  await proxy.close();
  await test.dispose();
});

/** A sink on another owner's DataSource. */
function sinkOn(dataSource: DataSource): PostgresSink {
  return new PostgresSink({
    connections: new PgConnections({ dataSource: () => dataSource, ownsDataSource: false }),
    closesConnections: true,
    table: test.database.table,
    strategy: 'copy',
    prepare: async () => {},
    onNotice: () => {},
  });
}

describe('a pool without a free connection', () => {
  it('gets one request for any number of attempts, and serves when it can', async () => {
    const dataSource = await test.database.dataSource({ poolSize: 1 }).initialize();
    const pool = (dataSource.driver as unknown as { master: { waitingCount: number } }).master;
    const sink = sinkOn(dataSource);
    const holder = dataSource.createQueryRunner();
    await holder.connect();
    for (let i = 0; i < 5; i += 1) {
      const told = await refusal(sink.write(test.batchOf(['a']), { ...ATTEMPT, timeoutMs: 50 }));
      expect(told).toMatchObject({ kind: 'transient', outcomeKnown: true, sqlState: undefined });
      expect(pool.waitingCount).toBe(1);
    }
    await holder.release();
    await sink.write(test.batchOf(['a']), ATTEMPT);
    expect(pool.waitingCount).toBe(0);
    expect(await test.count()).toBe(1);
    await sink.close();
    await dataSource.destroy();
  });

  it('gets back a connection that no attempt waits for', async () => {
    const dataSource = await test.database.dataSource({ poolSize: 1 }).initialize();
    const sink = sinkOn(dataSource);
    const holder = dataSource.createQueryRunner();
    await holder.connect();
    await refusal(sink.write(test.batchOf(['a']), { ...ATTEMPT, timeoutMs: 50 }));
    await holder.release();
    await dataSource.query('SELECT 1');
    await sink.close();
    await dataSource.destroy();
  });
});

describe('an unreachable server', () => {
  it('is reported by code, and reconnected automatically', async () => {
    const { port, url } = proxy;
    await proxy.close();
    const sink = test.makeSink('copy', { url, connectTimeoutMS: 1000 });
    await expect(sink.prepare()).rejects.toMatchObject({ sqlState: 'ECONNREFUSED' });
    const told = await refusal(sink.write(test.batchOf(['a']), ATTEMPT));
    expect(told).toMatchObject({ outcomeKnown: true, sqlState: 'ECONNREFUSED' });
    await expect(sink.ping(200)).rejects.toThrow();
    proxy = await startTcpProxy(test.database.url, port);
    await sink.prepare();
    await sink.write(test.batchOf(['a']), ATTEMPT);
    expect(await test.count()).toBe(1);
  });

  it('that never answers does not delay close()', async () => {
    proxy.isFrozen = true;
    const sink = test.makeSink('copy', { url: proxy.url, connectTimeoutMS: 1000 });
    const told = await refusal(sink.write(test.batchOf(['a']), { ...ATTEMPT, timeoutMs: 100 }));
    expect(told.outcomeKnown).toBe(true);
    const begin = performance.now();
    await sink.close();
    expect(performance.now() - begin).toBeLessThan(10_000);
  });

  it('after the log-in of the first connection is not awaited forever', async () => {
    const dataSource = test.database.dataSource({ url: proxy.url });
    const own = { dataSource: () => dataSource, ownsDataSource: true };
    const connections = new PgConnections({ ...own, initializeMs: 2000 });
    proxy.onSent = () => (proxy.isFrozen = proxy.sent().includes('SELECT'));
    await expect(connections.ready()).rejects.toMatchObject({
      reason: { message: expect.stringContaining('no answer within 2000 ms') as string },
    });
    expect(proxy.isFrozen).toBe(true);
    await vi.waitFor(() => expect(proxy.open.size).toBe(0), 10_000);
    proxy.onSent = undefined;
    proxy.isFrozen = false;
    await vi.waitFor(() => connections.ready(), 10_000);
    expect(await dataSource.query('SELECT 1 AS one')).toEqual([{ one: 1 }]);
    await connections.close();
  });

  it('does not wait for a hook of the pool that never calls back', async () => {
    let isMute = true;
    const extra = { verify: (_client: unknown, done: () => void) => (isMute ? undefined : done()) };
    const dataSource = test.database.dataSource({ extra });
    const own = { dataSource: () => dataSource, ownsDataSource: true };
    const connections = new PgConnections({ ...own, initializeMs: 2000 });
    await expect(connections.ready()).rejects.toMatchObject({
      reason: { message: expect.stringContaining('no answer within 2000 ms') as string },
    });
    isMute = false;
    await connections.ready();
    expect(await dataSource.query('SELECT 1 AS one')).toEqual([{ one: 1 }]);
    await connections.close();
  });

  it('in the middle of a write does not delay close() either', async () => {
    const sink = test.makeSink('copy', { url: proxy.url, connectTimeoutMS: 1000 });
    await sink.write(test.batchOf(['a']), ATTEMPT);
    proxy.isFrozen = true;
    const told = refusal(sink.write(test.batchOf(['a']), { ...ATTEMPT, timeoutMs: 30_000 }));
    await new Promise(setImmediate);
    const begin = performance.now();
    await sink.close();
    expect(performance.now() - begin).toBeLessThan(10_000);
    expect(await told).toMatchObject({ outcomeKnown: false });
  });
});

describe('a connection left in a transaction by its last user', () => {
  it('is not used for a write that would be lost', async () => {
    const dataSource = await test.database.dataSource({ poolSize: 1 }).initialize();
    const sink = sinkOn(dataSource);
    const batch = test.batchOf(['a']);
    const leaky = dataSource.createQueryRunner();
    await leaky.startTransaction();
    await leaky.release();
    expect(await refusal(sink.write(batch, ATTEMPT))).toMatchObject({ outcomeKnown: false });
    await expect(sink.write(batch, AGAIN)).resolves.toMatchObject({ written: 1 });
    expect(await test.count()).toBe(1);
    await sink.close();
    await dataSource.destroy();
  });
});
