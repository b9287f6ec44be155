import { randomUUID } from 'node:crypto';
import { Test, type TestingModule } from '@nestjs/testing';
import { DataSource } from 'typeorm';
import { afterAll, afterEach, beforeAll, describe, expect, inject, it } from 'vitest';
import { startTcpProxy } from '../postgres/fixtures/tcp-proxy.fixture.js';
import { isLedgerError } from '../errors/is-ledger-error.js';
import { defineLedger, LedgerModule, LedgerService, type LedgerOptions } from '../index.js';

const url = inject('databaseUrl');
const schema = `reads_${randomUUID().slice(0, 8)}`;
const usage = defineLedger({ schema });
/** Entries of one user, without an index: each read scans all of them. */
const ROWS = 3_000;
const LARGE = 1;
const READS = 400;
const READY = { flushMs: 5, migrations: 'run', connectAtBoot: true } as const;

let admin: DataSource;
let closing: (() => Promise<unknown>)[] = [];

beforeAll(async () => {
  admin = await new DataSource({ type: 'postgres', url }).initialize();
  const { close } = await start({ connection: { url } });
  await close();
  const indexes: { name: string }[] = await admin.query(
    `SELECT indexrelid::regclass::text AS name FROM pg_index
     WHERE indrelid = '${schema}.usage_entries'::regclass AND NOT indisprimary`,
  );
  for (const { name } of indexes) await admin.query(`DROP INDEX ${name}`);
  await admin.query(
    `INSERT INTO ${schema}.usage_entries (uuid, user_id, prompt_tokens, completion_tokens, direction, created_at)
     SELECT gen_random_uuid(), ${LARGE}, 1, 1, 'consume', '2026-01-01'::timestamptz + n * interval '1 s'
     FROM generate_series(1, ${ROWS}) n`,
  );
});
afterEach(async () => {
  for (const close of closing.reverse()) await close();
  closing = [];
});
afterAll(async () => {
  await admin.query(`DROP SCHEMA IF EXISTS ${schema} CASCADE`);
  await admin.destroy();
});

interface Pool {
  readonly totalCount: number;
  readonly idleCount: number;
}

interface Started {
  readonly ledger: LedgerService;
  readonly close: () => Promise<void>;
}

async function start(options: LedgerOptions): Promise<Started> {
  const module: TestingModule = await Test.createTestingModule({
    imports: [LedgerModule.forRoot({ ledger: usage, ...READY, ...options })],
  }).compile();
  module.useLogger(false);
  await module.init();
  return { ledger: module.get(LedgerService), close: () => module.close() };
}

/** An application's DataSource, closed after the test. */
async function dataSourceOf(poolSize: number): Promise<DataSource> {
  const dataSource = await new DataSource({ type: 'postgres', url, poolSize }).initialize();
  closing.push(() => dataSource.destroy());
  return dataSource;
}

/** Many reads at once, and their results so far. @param goesOn whether the next follows one that ended */
function readMany(ledger: LedgerService, count: number, goesOn = (): boolean => false) {
  const ends: string[] = [];
  const note = (error: unknown): void => {
    ends.push(isLedgerError(error, 'LEDGER_READ') ? error.reason : String(error));
  };
  let started = 0;
  const read = async (): Promise<void> => {
    do {
      started++;
      await ledger.listRecent({ userId: LARGE, limit: 10 }).then(() => ends.push('read'), note);
    } while (goesOn());
  };
  const all = Promise.all(Array.from({ length: count }, read));
  const of = (end: string): number => ends.filter((each) => each === end).length;
  return {
    all,
    of,
    get started() {
      return started;
    },
  };
}

describe('many reads of a large user', () => {
  it.each([
    ['of its own', () => Promise.resolve({ connection: { url } })],
    ['of the application', async () => ({ dataSource: await dataSourceOf(4) })],
    [
      'of the application that has two connections',
      async () => ({ dataSource: await dataSourceOf(2) }),
    ],
  ])('let each batch go first, on a pool %s', async (_, make) => {
    const { ledger, close } = await start({ ...(await make()), maxWaitingReads: READS });
    closing.push(close);
    let isWriting = true;
    const reads = readMany(ledger, READS, () => isWriting);
    const before: number[] = [];
    try {
      for (let i = 0; i < 10; i++) {
        const ended = reads.of('read');
        await ledger.recordAndWait({ userId: 2, promptTokens: i });
        before.push(reads.of('read') - ended);
      }
    } finally {
      isWriting = false;
    }
    // As many reads were waiting before each batch: behind them in line, it would have come after
    // all of them.
    expect(Math.max(...before)).toBeLessThan(0.9 * READS);
    expect(ledger.stats()).toMatchObject({ written: 10, dropped: 0, depth: 0 });
    await reads.all;
    expect(reads.of('read')).toBe(reads.started);
  });

  it('are refused above maxWaitingReads with the reason busy, and served again afterwards', async () => {
    const { ledger, close } = await start({ connection: { url }, maxWaitingReads: 7 });
    closing.push(close);
    const reads = readMany(ledger, 50);
    const refused = ledger.summary({ userId: LARGE });
    await expect(refused).rejects.toThrow(/too many reads are in progress \(2 run and 7 wait/);
    await reads.all;
    expect({ read: reads.of('read'), busy: reads.of('busy') }).toEqual({ read: 9, busy: 41 });
    expect((await ledger.summary({ userId: LARGE })).entries).toBe(ROWS);
  });

  it('continue after the connections were lost, both running and waiting ones', async () => {
    const proxy = await startTcpProxy(url);
    closing.push(() => proxy.close());
    const { ledger, close } = await start({ connection: { url: proxy.url } });
    closing.push(close);
    for (let round = 0; round < 3; round++) {
      const reads = readMany(ledger, 20);
      ledger.record({ userId: 3, promptTokens: round });
      proxy.reset();
      await reads.all;
      expect(reads.of('read') + reads.of('failed')).toBe(20);
    }
    const after = readMany(ledger, 20);
    await after.all;
    expect(after.of('read')).toBe(20);
    await ledger.flush();
    expect(ledger.stats()).toMatchObject({ offered: 3, dropped: 0, depth: 0, inFlight: 0 });
  });
});

describe('reports', () => {
  const query = {
    from: new Date('2026-01-01'),
    to: new Date('2026-02-01'),
    groupBy: ['userId'],
  } as const;

  it('that are not read further leave a connection to the other reads, and return theirs when abandoned', async () => {
    const { ledger, close } = await start({ connection: { url } });
    closing.push(close);
    const open = ledger.report(query);
    await open.next();
    expect((await ledger.summary({ userId: LARGE })).entries).toBe(ROWS);
    const second = ledger.report(query).next();
    await open.return();
    expect((await second).done).toBe(false);
  });

  it('release their place if the server ends their session', async () => {
    const { ledger, close } = await start({ connection: { url } });
    closing.push(close);
    await ledger.report(query).next();
    await admin.query(
      `SELECT pg_terminate_backend(pid) FROM pg_stat_activity
       WHERE application_name = 'nestjs-ledger default' AND state = 'idle in transaction'`,
    );
    expect((await ledger.report(query).next()).done).toBe(false);
  });
});

describe('several ledgers on one DataSource', () => {
  it('share the connections that their workers and the application leave to reads', async () => {
    const dataSource = await dataSourceOf(6);
    const other = defineLedger({ name: 'other', schema, table: 'other_entries' });
    const module = await Test.createTestingModule({
      imports: [
        LedgerModule.forRoot({ ledger: usage, dataSource, migrations: 'run' }),
        LedgerModule.forRoot({ ledger: other, dataSource, migrations: 'run' }),
      ],
    }).compile();
    module.useLogger(false);
    await module.init();
    closing.push(() => module.close());
    const ledger = module.get<LedgerService>(LedgerService);
    const pool = (dataSource.driver as unknown as { master: Pool }).master;
    // The ledgers' start also sends some queries.
    await new Promise((resolve) => setImmediate(resolve));
    await expect.poll(() => pool.idleCount).toBe(pool.totalCount);
    const reads = readMany(ledger, 60);
    let most = 0;
    while (reads.of('read') < 5) await new Promise((resolve) => setImmediate(resolve));
    while (reads.of('read') < 20) {
      most = Math.max(most, pool.totalCount - pool.idleCount);
      await new Promise((resolve) => setImmediate(resolve));
    }
    await reads.all;
    // Of 6 connections two are the workers' and one is the application's; reads have half of the
    // rest.
    expect(most).toBe(1);
  });
});
