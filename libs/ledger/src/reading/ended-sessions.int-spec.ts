import { randomUUID } from 'node:crypto';
import { Test, type TestingModule } from '@nestjs/testing';
import pg from 'pg';
import { DataSource } from 'typeorm';
import { afterEach, beforeEach, describe, expect, inject, it } from 'vitest';
import { defineLedger, LedgerModule, LedgerService } from '../index.js';

const url = inject('databaseUrl');
const schema = `ended_${randomUUID().slice(0, 8)}`;
const usage = defineLedger({ schema, columns: { model: 'text' } });
const PERIOD = { from: new Date('2026-02-01'), to: new Date('2026-03-01') };

/** Milliseconds after which the server ends an idle session, and for which the process is held. */
const IDLE_MS = 200;
const HELD_MS = 400;

let admin: pg.Client;
let dataSource: DataSource;
let module: TestingModule | undefined;

beforeEach(async () => {
  admin = new pg.Client(url);
  await admin.connect();
});
afterEach(async () => {
  await module?.close();
  module = undefined;
  await dataSource.destroy();
  await admin.query(`DROP SCHEMA IF EXISTS ${schema} CASCADE`);
  await admin.end();
});

/** Nothing of the process runs meanwhile, as in a long turn or a paused container. */
function hold(): void {
  const end = performance.now() + HELD_MS;
  while (performance.now() < end);
}

async function connect(): Promise<void> {
  const named = { type: 'postgres', url, applicationName: schema } as const;
  dataSource = await new DataSource(named).initialize();
}

/** Holds the process, while the server ends the pooled sessions: no others, so the boot may pause. */
async function holdBeyondLimit(): Promise<void> {
  const pool = (dataSource.driver as unknown as { master: pg.Pool }).master;
  await expect.poll(() => pool.idleCount).toBe(pool.totalCount);
  const runners = Array.from({ length: pool.totalCount }, () => dataSource.createQueryRunner());
  for (const runner of runners) await runner.connect();
  const set = `SET idle_session_timeout = '${IDLE_MS}ms'`;
  await Promise.all(runners.map((runner) => runner.query(set)));
  await Promise.all(runners.map((runner) => runner.release()));
  hold();
}

async function start(): Promise<LedgerService<typeof usage>> {
  const ledger = { ledger: usage, dataSource, migrations: 'run', connectAtBoot: true } as const;
  module = await Test.createTestingModule({
    imports: [LedgerModule.forRoot({ ...ledger, flushMs: 5 })],
  }).compile();
  module.useLogger(false);
  await module.init();
  return module.get<LedgerService<typeof usage>>(LedgerService);
}

const READS = {
  listRecent: async (ledger) => (await ledger.listRecent({ userId: 1 })).entries.length,
  summary: async (ledger) => (await ledger.summary({ userId: 1 })).entries,
  report: async (ledger) => {
    const rows = [];
    for await (const row of ledger.report({ ...PERIOD, groupBy: ['day'] })) rows.push(row);
    return rows.length;
  },
} satisfies Record<string, (ledger: LedgerService<typeof usage>) => Promise<number>>;

const ENTRY = { createdAt: new Date('2026-02-03'), userId: 1, promptTokens: 7 };

describe('a session that ended in the pool while the process was held up', () => {
  it.each(Object.entries(READS))('does not fail %s (idle_session_timeout)', async (_, read) => {
    await connect();
    const ledger = await start();
    await ledger.recordAndWait(ENTRY);
    expect(await read(ledger)).toBe(1);
    await holdBeyondLimit();
    expect(await read(ledger)).toBe(1);
  });

  it.each(Object.entries(READS))('does not fail %s (shutdown)', async (_, read) => {
    await connect();
    const ledger = await start();
    await ledger.recordAndWait(ENTRY);
    expect(await read(ledger)).toBe(1);
    const ended = admin.query(
      'SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name = $1',
      [schema],
    );
    hold();
    expect(await read(ledger)).toBe(1);
    expect((await ended).rowCount).toBeGreaterThan(0);
  });

  it('does not fail the boot', async () => {
    await connect();
    await dataSource.query('SELECT 1');
    await holdBeyondLimit();
    await expect(start()).resolves.toBeDefined();
  });

  it('writes a batch at the first attempt, because the statement was not run', async () => {
    await connect();
    const ledger = await start();
    await ledger.recordAndWait(ENTRY);
    for (let i = 0; i < 3; i++) {
      await holdBeyondLimit();
      expect(await ledger.recordAndWait(ENTRY)).toMatchObject({ outcome: 'written' });
    }
    expect(ledger.stats()).toMatchObject({ written: 4, retries: 0 });
  });
});

describe('a read that was ended while it ran', () => {
  it('is not repeated', async () => {
    await connect();
    const ledger = await start();
    const other = new pg.Client(url);
    await other.connect();
    try {
      await other.query(`BEGIN; LOCK ${schema}.usage_entries`);
      const failure = expect(READS.summary(ledger)).rejects.toMatchObject({ sqlState: '57P01' });
      const waits = `FROM pg_stat_activity WHERE application_name = $1 AND wait_event_type = 'Lock'`;
      const longEnough = `${waits} AND now() - query_start > '1100 ms'`;
      await expect
        .poll(async () => (await admin.query(`SELECT ${longEnough}`, [schema])).rowCount, {
          timeout: 10_000,
        })
        .toBe(1);
      await admin.query(`SELECT pg_terminate_backend(pid) ${waits}`, [schema]);
      await failure;
    } finally {
      await other.end();
    }
  });
});
