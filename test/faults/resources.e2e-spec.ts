import { Logger, type INestApplicationContext } from '@nestjs/common';
import { LedgerHealthIndicator } from 'nestjs-ledger';
import { mkdtemp, readdir, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, afterEach, beforeAll, describe, expect, it, vi } from 'vitest';
import { DataSource, type QueryRunner } from 'typeorm';
import { assertConservation } from '../../libs/ledger/src/testing/ledger-under-test.js';
import { PATIENCE } from '../support/patience.js';
import { FaultDatabase } from './support/fault-database.js';
import { startLedgerModule } from './support/ledger-module.js';

let database: FaultDatabase;
let apps: INestApplicationContext[] = [];

beforeAll(async () => {
  database = await FaultDatabase.start();
});
afterEach(async () => {
  await Promise.all(apps.map((app) => app.close()));
  apps = [];
});
afterAll(() => database?.dispose());

describe('dead letters that neither the table nor the disk takes', () => {
  it('are counted and told by uuid, in health, and the process goes on', async () => {
    const folder = await mkdtemp(join(tmpdir(), 'nestjs-ledger-disk-'));
    const spillDir = join(folder, 'disk');
    const lines: string[] = [];
    const keep = (line: unknown): void => void lines.push(String(line));
    Logger.overrideLogger({ log: keep, warn: keep, error: keep });
    try {
      const options = { connection: { url: database.url }, spillDir, flushMs: 20 };
      const { app, ledger } = await startLedgerModule('disk', options, false);
      apps.push(app);
      const health = app.get(LedgerHealthIndicator, { strict: false });
      // A database that takes half a second to answer, as on a busy machine, counts as away.
      const hasStatus = (status: string): Promise<void> =>
        vi.waitFor(
          async () =>
            expect(await health.isHealthy('ledger')).toMatchObject({ ledger: { status } }),
          PATIENCE,
        );
      await hasStatus('up');
      // Nobody can make a folder below a file, or write to it: root neither.
      await rm(spillDir, { recursive: true });
      await writeFile(spillDir, '');
      await database.sql(
        `ALTER TABLE disk.usage_entries_dead_letters RENAME TO gone;
         ALTER TABLE disk.usage_entries ADD CONSTRAINT mine CHECK (memo <> 'poison')`,
      );
      ledger.recordMany([{ userId: 1, memo: 'poison' }, { userId: 2 }]);
      await ledger.flush();
      expect(ledger.stats()).toMatchObject({ written: 1, deadLettered: 1, state: 'running' });
      assertConservation(ledger.stats());
      expect(lines.join('\n')).toMatch(
        /1 dead letters could not be kept anywhere .*: 0[0-9a-f-]{35}/,
      );
      await hasStatus('degraded');
      await rm(spillDir);
      ledger.recordMany([{ userId: 1, memo: 'poison' }, { userId: 2 }]);
      await ledger.flush();
      expect(await readdir(spillDir)).toHaveLength(1);
      await hasStatus('up');
    } finally {
      Logger.overrideLogger(false);
      await rm(folder, { recursive: true, force: true });
    }
  });
});

describe('a pool of the application whose connections others hold', () => {
  const WRITE_MS = 300;

  async function startOnPool(
    pool: DataSource,
  ): Promise<Awaited<ReturnType<typeof startLedgerModule>>> {
    return startLedgerModule('pool', {
      ...{ dataSource: pool, migrations: 'run', flushMs: 10, writeTimeoutMs: WRITE_MS },
      ...{ retryMinMs: 10, retryMaxMs: 50, shutdownTimeoutMs: 1000, spillDir },
    });
  }

  async function holdAll(pool: DataSource): Promise<QueryRunner[]> {
    const runners = [pool.createQueryRunner(), pool.createQueryRunner()];
    for (const runner of runners) await runner.connect();
    return runners;
  }

  let pool: DataSource;
  let spillDir: string;
  beforeAll(async () => {
    spillDir = await mkdtemp(join(tmpdir(), 'nestjs-ledger-pool-'));
    const { url } = database;
    pool = await new DataSource({ type: 'postgres', url, poolSize: 2 }).initialize();
  });
  afterAll(async () => {
    await pool.destroy();
    await rm(spillDir, { recursive: true, force: true });
  });

  it('ends each attempt in time, takes no slot away, and writes once one is free', async () => {
    const { app, ledger } = await startOnPool(pool);
    apps.push(app);
    const held = await holdAll(pool);
    ledger.record({ userId: 1 });
    await vi.waitFor(() => expect(ledger.stats().retries).toBeGreaterThan(2), PATIENCE);
    await Promise.all(held.map((runner) => runner.release()));
    await ledger.flush();
    expect(ledger.stats()).toMatchObject({ written: 1, state: 'running' });
    const again = await holdAll(pool);
    await Promise.all(again.map((runner) => runner.release()));
  });

  it('does not hold app.close() up: what can not be written is spilled', async () => {
    const { app, ledger } = await startOnPool(pool);
    const held = await holdAll(pool);
    ledger.record({ userId: 2 });
    const startedAt = performance.now();
    await app.close();
    expect(performance.now() - startedAt).toBeLessThan(10_000);
    expect(ledger.stats()).toMatchObject({ spilled: 1, inFlight: 0, depth: 0, state: 'sealed' });
    await Promise.all(held.map((runner) => runner.release()));
    const again = await holdAll(pool);
    await Promise.all(again.map((runner) => runner.release()));
  });
});
