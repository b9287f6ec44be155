import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { assertConservation } from '../../libs/ledger/src/testing/ledger-under-test.js';
import { FaultApp } from './support/fault-app.js';
import { FaultDatabase } from './support/fault-database.js';
import { expectNothingLost } from './support/nothing-lost.js';
import {
  startTcpProxy,
  type TcpProxy,
} from '../../libs/ledger/src/postgres/fixtures/tcp-proxy.fixture.js';

const LOAD = 2000;
const SHUTDOWN_MS = 2000;
/** Of a process that may write to the end, though the machine holds PostgreSQL up. */
const PATIENT_MS = 20_000;
/** Start of the process's own end, and a machine that does other things. */
const GRACE_MS = 5000;

let database: FaultDatabase;
let proxy: TcpProxy;
let apps: FaultApp[];

beforeAll(async () => {
  database = await FaultDatabase.start();
});
afterAll(() => database?.dispose());
beforeEach(async () => {
  await database.sql('DROP SCHEMA IF EXISTS faults CASCADE');
  proxy = await startTcpProxy(database.url);
  apps = [];
});
afterEach(async () => {
  await Promise.all(apps.map((app) => app.dispose()));
  await proxy.close();
});

async function start(settings: Record<string, string | number> = {}): Promise<FaultApp> {
  const app = await FaultApp.start(proxy.url, { SHUTDOWN_TIMEOUT_MS: SHUTDOWN_MS, ...settings });
  apps.push(app);
  return app;
}

async function underLoad(settings: Record<string, string | number> = {}): Promise<FaultApp> {
  const app = await start(settings);
  app.load(LOAD);
  await app.until(({ written }) => written > 200);
  return app;
}

describe('a process that is stopped under load', () => {
  it('by SIGTERM writes all that it took', async () => {
    const limits = { SHUTDOWN_TIMEOUT_MS: PATIENT_MS, WRITE_TIMEOUT_MS: 30_000 };
    const app = await underLoad(limits);
    const { signal, ms } = await app.end('SIGTERM');
    expect(signal).toBe('SIGTERM');
    expect(ms).toBeLessThan(PATIENT_MS + GRACE_MS);
    const { spills } = await expectNothingLost(database, apps);
    const { offered, queued, written, spilled } = app.stats!;
    // Only what its load still recorded after the seal.
    expect({ offered, written }).toEqual({ offered: queued, written: queued - spilled });
    expect(spills.size).toBe(spilled);
    expect(app.output).toMatch(/drained: \d+ written, 0 duplicate, 0 dead-lettered, \d+ spilled/);
    expect(app.output).not.toMatch(/could not be written in time/);
  });

  it('by two SIGTERMs writes all that it took', async () => {
    const app = await underLoad();
    await app.end('SIGTERM', 'SIGTERM');
    await expectNothingLost(database, apps);
  });

  it('by app.close(), twice at once, drains once', async () => {
    const app = await underLoad();
    await app.close(2);
    await expectNothingLost(database, apps);
    expect(app.output.match(/drained: /g)).toHaveLength(1);
  });
});

describe('a process that is stopped while the database is away', () => {
  it('spills in time what it holds, and the replay brings it in', async () => {
    const app = await underLoad();
    await database.kill();
    await app.until(({ depth }) => depth > 1000);
    const { ms } = await app.end('SIGTERM');
    expect(ms).toBeLessThan(SHUTDOWN_MS + GRACE_MS);
    await database.restart();
    const { spills } = await expectNothingLost(database, apps);
    expect(spills.size).toBe(app.stats!.spilled);
    expect(spills.size).toBeGreaterThan(1000);
  });

  it('behind a network that fell silent ends in time too', async () => {
    const app = await underLoad({ WRITE_TIMEOUT_MS: 30_000 });
    proxy.isFrozen = true;
    await app.until(({ depth }) => depth > 1000);
    const { ms } = await app.end('SIGTERM');
    expect(ms).toBeLessThan(SHUTDOWN_MS + GRACE_MS);
    // The server notices a dead client by itself, but only after 25 s.
    proxy.reset();
    const { spills } = await expectNothingLost(database, apps);
    expect(spills.size).toBeGreaterThan(1000);
  });

  it('under a lock on the table ends in time too', async () => {
    const app = await underLoad({ WRITE_TIMEOUT_MS: 30_000 });
    const holder = database.client();
    await holder.connect();
    try {
      await holder.query('BEGIN; LOCK TABLE faults.usage_entries');
      await app.until(({ depth }) => depth > 1000);
      const { ms } = await app.end('SIGTERM');
      expect(ms).toBeLessThan(SHUTDOWN_MS + GRACE_MS);
    } finally {
      await holder.end();
    }
    const { spills } = await expectNothingLost(database, apps);
    expect(spills.size).toBeGreaterThan(1000);
  });

  it('before it ever reached it spills all', async () => {
    proxy.isFrozen = true;
    const app = await start();
    app.load(LOAD);
    await app.until(({ depth }) => depth > 1000);
    const startedAt = performance.now();
    await app.close();
    expect(performance.now() - startedAt).toBeLessThan(SHUTDOWN_MS + GRACE_MS);
    // Nobody has made the table yet; an operator who replays does.
    proxy.isFrozen = false;
    const other = await start();
    await other.until(({ state }) => state === 'running');
    const { spills } = await expectNothingLost(database, apps);
    expect(spills.size).toBe(app.stats!.queued);
  });
});

describe('a process that can neither write nor spill', () => {
  it('ends in time all the same, and says how many entries that cost', async () => {
    const app = await underLoad({ SPILL_DIR: '/dev/null/spill' });
    expect(app.output).toContain("spillDir can't be used (ENOTDIR)");
    await database.kill();
    await app.until(({ depth }) => depth > 1000);
    const { ms } = await app.end('SIGTERM');
    await database.restart();
    expect(ms).toBeLessThan(SHUTDOWN_MS + GRACE_MS);
    const { depth, inFlight, queued, written } = app.stats!;
    assertConservation(app.stats!);
    expect(queued).toBe(written + depth + inFlight);
    expect(app.output).toContain(
      `${depth + inFlight} entries could be neither written nor spilled`,
    );
  });
});

describe('two processes on one table, one of them killed', () => {
  it('leave the other’s entries whole, and all that was said to be committed', async () => {
    const killed = await underLoad();
    const app = await underLoad();
    await killed.end('SIGKILL');
    await app.until(({ written }) => written > 2000);
    app.pause();
    await app.settled();
    const { table } = await expectNothingLost(database, apps);
    expect(killed.queued.acknowledged.size).toBeGreaterThan(0);
    expect(table.size).toBeGreaterThan(app.stats!.queued);
  });
});
