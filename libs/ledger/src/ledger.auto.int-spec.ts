import { randomUUID } from 'node:crypto';
import { connect, createServer, type Server, type Socket } from 'node:net';
import { tmpdir } from 'node:os';
import { DataSource } from 'typeorm';
import { afterAll, afterEach, beforeAll, describe, expect, inject, it, vi } from 'vitest';
import type { LedgerOptions } from './config/ledger-options.interface.js';
import { resolveLedgerOptions } from './config/resolve-ledger-options.js';
import { createLedger, type PostgresLedger } from './create-ledger.js';
import { defineLedger } from './define-ledger.js';
import { assertConservation } from './testing/ledger-under-test.js';

const url = inject('databaseUrl');
const PATIENCE = { timeout: 30_000, interval: 20 };

let admin: DataSource;
beforeAll(async () => {
  admin = await new DataSource({ type: 'postgres', url }).initialize();
});
afterAll(() => admin.destroy());

/** A way to the server that can be cut. */
class Way {
  readonly #sockets = new Set<Socket>();
  #isCut = false;
  readonly #server: Server = createServer((client) => {
    if (this.#isCut) return client.destroy();
    const server = connect(Number(new URL(url).port || 5432), new URL(url).hostname);
    for (const socket of [client, server]) {
      this.#sockets.add(socket);
      socket.on('error', () => undefined);
      socket.on('close', () => {
        this.#sockets.delete(socket);
        client.destroy();
        server.destroy();
      });
    }
    client.pipe(server).pipe(client);
  });

  async open(): Promise<string> {
    await new Promise<void>((resolve) => this.#server.listen(0, '127.0.0.1', resolve));
    const address = new URL(url);
    address.hostname = '127.0.0.1';
    address.port = String((this.#server.address() as { port: number }).port);
    return address.href;
  }

  cut(isCut: boolean): void {
    this.#isCut = isCut;
    if (isCut) for (const socket of this.#sockets) socket.destroy();
  }

  async close(): Promise<void> {
    this.cut(true);
    await new Promise((resolve) => this.#server.close(resolve));
  }
}

let ends: (() => Promise<unknown>)[] = [];
afterEach(async () => {
  for (const end of ends.reverse()) await end();
  ends = [];
});

/** A running ledger with a separate table. */
async function open(options: LedgerOptions = {}, address = url) {
  const table = `auto_${randomUUID().slice(0, 8)}`;
  const definition = defineLedger({ name: table, table });
  const lines: string[] = [];
  const write = (line: string): void => void lines.push(line);
  const made: PostgresLedger = createLedger(
    definition,
    resolveLedgerOptions({
      connection: { url: address },
      spillDir: tmpdir(),
      profile: 'auto',
      ...options,
    }),
    { log: write, warn: write, error: write },
  );
  const { ledger } = made;
  ends.push(async () => {
    await ledger.shutdown.finish();
    await ledger.sink.close();
    await admin.query(`DROP TABLE IF EXISTS ${table} CASCADE`);
  });
  void ledger.writer.start(() => undefined);
  await vi.waitUntil(() => ledger.writer.isPrepared, PATIENCE);
  const rows = async (): Promise<number> => {
    const [found] = await admin.query<{ count: string }[]>(`SELECT count(*) FROM ${table}`);
    return Number(found!.count);
  };
  const offer = (count: number): void => {
    for (let i = 0; i < count; i++) ledger.intake.offer({ userId: i + 1, promptTokens: i });
  };
  return { ledger, lines, rows, offer };
}

const turn = (): Promise<void> => new Promise((resolve) => setImmediate(resolve));

describe('a ledger with profile auto, on PostgreSQL', () => {
  it('writes a trickle within its delay, and measures the fixed part of a flush', async () => {
    const { ledger, rows, offer } = await open();
    for (let i = 0; i < 12; i++) {
      offer(1);
      await vi.waitUntil(() => ledger.stats().written === i + 1, PATIENCE);
    }
    expect(await rows()).toBe(12);
    await vi.waitUntil(() => ledger.stats().auto!.delayMs >= 90, PATIENCE);
    const { delayMs, workers, why } = ledger.stats().auto!;
    expect(delayMs).toBeLessThanOrEqual(1_000);
    expect([workers, why]).toEqual([
      Math.min(2, ledger.options.figures.numWorkers),
      expect.any(String),
    ]);
    assertConservation(ledger.stats());
  });

  it('takes 300,000 entries at once, drops none, and writes large batches', async () => {
    const { ledger, rows, offer } = await open();
    for (let i = 0; i < 300; i++) {
      offer(1_000);
      await turn();
    }
    await vi.waitUntil(() => ledger.stats().written === 300_000, PATIENCE);
    const { dropped, flushes, auto } = ledger.stats();
    expect(dropped).toBe(0);
    expect(flushes.entries / flushes.count).toBeGreaterThan(1_000);
    expect(auto!.workers).toBeLessThanOrEqual(16);
    expect(await rows()).toBe(300_000);
    assertConservation(ledger.stats());
  });

  it('tries nothing during an outage, keeps every entry, and goes on as before', async () => {
    const way = new Way();
    const address = await way.open();
    ends.push(() => way.close());
    const { ledger, rows, offer } = await open({ retryMinMs: 5, retryMaxMs: 50 }, address);
    offer(1_000);
    await vi.waitUntil(() => ledger.stats().written === 1_000, PATIENCE);
    way.cut(true);
    for (let i = 0; i < 60; i++) {
      offer(1_000);
      await turn();
    }
    const lookedAt = performance.now();
    await vi.waitUntil(() => ledger.stats().retries > 3, PATIENCE);
    // As long as a backlog has to last before a worker is tried, and a look more.
    await vi.waitUntil(() => performance.now() - lookedAt > 4_000, PATIENCE);
    expect(ledger.stats()).toMatchObject({
      dropped: 0,
      workers: { total: ledger.options.figures.numWorkers },
    });
    expect(ledger.stats().auto).toMatchObject({ tried: [] });
    assertConservation(ledger.stats());
    way.cut(false);
    await vi.waitUntil(() => ledger.stats().written === 61_000, PATIENCE);
    expect(await rows()).toBe(61_000);
    assertConservation(ledger.stats());
  });

  it('drains while the number of workers changes: every row is written once', async () => {
    const { ledger, rows, offer } = await open({ batchSize: 500 });
    for (let i = 0; i < 40; i++) {
      offer(1_000);
      ledger.writer.resize(1 + (i % 4));
      await turn();
    }
    await ledger.shutdown.drain();
    ledger.writer.resize(3);
    offer(10);
    ledger.writer.resize(1);
    await ledger.shutdown.finish();
    expect(ledger.stats()).toMatchObject({ written: 40_010, spilled: 0, depth: 0, inFlight: 0 });
    expect(await rows()).toBe(40_010);
    assertConservation(ledger.stats());
  });
});
