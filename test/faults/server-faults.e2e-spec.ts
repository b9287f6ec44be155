import type { Client } from 'pg';
import { afterAll, beforeAll, describe, expect, it, vi } from 'vitest';
import { PATIENCE } from '../support/patience.js';
import { FaultApp } from './support/fault-app.js';
import { FaultDatabase } from './support/fault-database.js';
import { expectNothingLost, tally } from './support/nothing-lost.js';
import { Seed } from './support/seed.js';

const ROUNDS = process.env['LEDGER_SOAK'] ? 30 : 1;
const LOAD = 1000;
const OURS = `application_name LIKE 'nestjs-ledger %'`;

let database: FaultDatabase;
let app: FaultApp;

beforeAll(async () => {
  database = await FaultDatabase.start({ max_connections: 20 });
  app = await FaultApp.start(database.url);
  app.load(LOAD);
  await app.until(({ written }) => written > 0);
});
afterAll(async () => {
  await app?.dispose();
  await database?.dispose();
});

/** Waits until it writes again after a fault. */
async function recovered(): Promise<void> {
  const { written } = await app.report();
  await app.until((stats) => stats.written > written + 100 && stats.state === 'running');
}

/** Waits until so many more attempts failed. */
async function failing(attempts: number): Promise<void> {
  const { retries } = await app.report();
  await app.until((stats) => stats.retries >= retries + attempts);
}

/** Waits until its reason is this SQLSTATE: attempts from before the fault may fail for another. */
async function blames(sqlState: string): Promise<void> {
  await app.until(({ reason }) => reason?.includes(sqlState) ?? false);
}

const FAULTS: Record<string, (seed: Seed) => Promise<void>> = {
  async 'backends terminated at work'() {
    for (let ended = 0; ended < 5;) {
      const rows = await database.sql<{ ended: boolean }>(
        `SELECT pg_terminate_backend(pid) AS ended FROM pg_stat_activity
         WHERE ${OURS} AND state = 'active'`,
      );
      ended += rows.length;
    }
  },

  async 'backends terminated while idle'() {
    app.pause();
    await app.settled();
    await database.sql(`SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE ${OURS}`);
    app.load(LOAD);
  },

  async 'restarted in read-only mode, and back'(seed) {
    await database.sql('ALTER SYSTEM SET default_transaction_read_only = on');
    await database.restart();
    await failing(seed.integer(2, 6));
    await blames('25006');
    await database.sql('ALTER SYSTEM RESET default_transaction_read_only');
    await database.sql('SELECT pg_reload_conf()');
  },

  async 'no connection left'(seed) {
    const held: Client[] = [];
    try {
      await takeAllConnections(held);
      await failing(seed.integer(2, 6));
      const isSaid = (): void => expect(app.output).toContain('using 1 of 3 workers for now');
      await vi.waitFor(isSaid, PATIENCE);
    } finally {
      await Promise.all(held.map((client) => client.end()));
    }
  },

  async 'table renamed away and back'() {
    await database.sql('ALTER TABLE faults.usage_entries RENAME TO elsewhere');
    await app.until(({ state }) => state === 'halted');
    await blames('42P01');
    await database.sql('ALTER TABLE faults.elsewhere RENAME TO usage_entries');
  },

  async 'disk full'(seed) {
    await database.sql(`
      CREATE FUNCTION faults.disk_full() RETURNS trigger LANGUAGE plpgsql AS $$
      BEGIN RAISE EXCEPTION 'no space' USING ERRCODE = 'disk_full'; END $$;
      CREATE TRIGGER disk_full BEFORE INSERT ON faults.usage_entries
      FOR EACH ROW EXECUTE FUNCTION faults.disk_full()`);
    await failing(seed.integer(2, 6));
    await blames('53100');
    await database.sql(`
      DROP TRIGGER disk_full ON faults.usage_entries; DROP FUNCTION faults.disk_full()`);
  },

  async 'stopped and started'(seed) {
    await database.stop();
    await failing(seed.integer(1, 4));
    await database.restart();
  },
};

/**
 * Takes every connection, and those of the ledger, until it has none and says so, ten looks in a
 * row: a backend that begins or ends has a place, but can't be seen.
 */
async function takeAllConnections(held: Client[]): Promise<void> {
  for (let looks = 0; looks < 10;) {
    const client = database.client();
    client.on('error', () => {});
    const isRefused = await client.connect().then(
      () => !held.push(client),
      () => true,
    );
    const { rows } = await held[0]!.query<{ n: number }>(
      `SELECT count(pg_terminate_backend(pid))::int AS n FROM pg_stat_activity WHERE ${OURS}`,
    );
    const { reason } = await app.report();
    const isOut = isRefused && rows[0]!.n === 0 && reason?.includes('53300');
    looks = isOut ? looks + 1 : 0;
  }
}

describe('a server at fault', { timeout: 120_000 * ROUNDS }, () => {
  it(`in ${Object.keys(FAULTS).length} ways, ${ROUNDS} times each, loses nothing`, async () => {
    const seed = Seed.print('server faults');
    const before = tally.checks;
    for (let round = 0; round < ROUNDS; round++) {
      const names = Object.keys(FAULTS).map((name) => ({ name, order: seed.random() }));
      for (const { name } of names.sort((a, b) => a.order - b.order)) {
        await FAULTS[name]!(seed);
        await recovered().catch((error: Error) => {
          throw new Error(`after ${name}: ${error.message}`);
        });
        app.pause();
        const stats = await app.settled();
        await expectNothingLost(database, [app]);
        expect(stats, name).toMatchObject({ deadLettered: 0, spilled: 0, dropped: 0 });
        app.load(LOAD);
      }
    }
    app.pause();
    const { queued, retries } = await app.settled();
    process.stdout.write(
      `${tally.checks - before} faults, ${queued} entries, ${retries} failed attempts, `,
    );
    process.stdout.write(`${tally.lost} lost\n`);
  });
});

describe('a lock held on the table', () => {
  it('ends 20 attempts in time, and never has more backends than workers', async () => {
    const locked = await FaultApp.start(database.url, { WRITE_TIMEOUT_MS: 250 });
    const holder = database.client();
    try {
      await holder.connect();
      await holder.query('BEGIN; LOCK TABLE faults.usage_entries');
      locked.load(LOAD);
      // On a busy machine an attempt may end by its own limit before the server gives up on the lock.
      await locked.until(({ retries, reason }) => {
        return retries >= 20 && (reason?.includes('55P03') ?? false);
      });
      const { rows } = await holder.query<{ n: number }>(
        `SELECT count(*)::int AS n FROM pg_stat_activity
         WHERE ${OURS} AND (state <> 'idle' OR wait_event_type = 'Lock')`,
      );
      expect(rows[0]!.n).toBeLessThanOrEqual(3);
      await holder.query('ROLLBACK');
      await locked.until(({ written }) => written > 0);
      locked.pause();
      await locked.settled();
      await expectNothingLost(database, [app, locked]);
    } finally {
      await holder.end();
      await locked.dispose();
    }
  });
});
