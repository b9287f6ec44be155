import { randomUUID } from 'node:crypto';
import { createRequire } from 'node:module';
import { Socket } from 'node:net';
import { Test } from '@nestjs/testing';
import pg from 'pg';
import { DataSource } from 'typeorm';
import { afterAll, describe, expect, inject, it } from 'vitest';
import { defineLedger, LedgerModule, LedgerService, type LedgerOptions } from '../index.js';

const require = createRequire(import.meta.url);
const url = inject('databaseUrl');
const schema = `options_${randomUUID().slice(0, 8)}`;
const usage = defineLedger({ schema, columns: { cost: 'bigint', model: 'text' } });

/**
 * The lowest supported version, one that fails on a statement without a callback, and the newest.
 */
const DRIVERS = [
  ['8.11', require('pg811') as object],
  ['8.16', require('pg816') as object],
  ['newest', pg as object],
] as const;

/** Options of `pg` and its pool that affect queries, answers or the lifetime of clients. */
const EXTRAS: readonly (readonly [string, object])[] = [
  ['query_timeout', { query_timeout: 30_000 }],
  ['statement_timeout', { statement_timeout: 30_000 }],
  ['lock_timeout', { lock_timeout: 30_000 }],
  ['idle_in_transaction_session_timeout', { idle_in_transaction_session_timeout: 30_000 }],
  ['connectionTimeoutMillis', { connectionTimeoutMillis: 5_000 }],
  ['connectionTimeoutMillis of 0', { connectionTimeoutMillis: 0 }],
  ['keepAlive', { keepAlive: true, keepAliveInitialDelayMillis: 1_000 }],
  ['maxUses', { maxUses: 1 }],
  ['maxLifetimeSeconds', { maxLifetimeSeconds: 1 }],
  ['idleTimeoutMillis', { idleTimeoutMillis: 1 }],
  ['allowExitOnIdle', { allowExitOnIdle: true }],
  ['application_name', { application_name: 'metering' }],
  ['options', { options: '-c DateStyle=German -c IntervalStyle=sql_standard' }],
  ['types', { types: { getTypeParser: () => () => 'changed' } }],
  ['binary', { binary: true }],
  ['stream', { stream: () => new Socket() }],
];

/** The same options with odd values, and those of TypeORM: each takes effect or has none. */
const MORE: readonly (readonly [string, (address: { url: string }) => object])[] = [
  ['a pool of one', () => ({ poolSize: 1 })],
  ['a pool by text', () => ({ poolSize: '2' })],
  ['a max that is undefined', () => ({ extra: { max: undefined } })],
  ['min above max', () => ({ extra: { max: 2, min: 50 } })],
  ['verify', () => ({ extra: { verify: (_: pg.Client, done: () => void) => done() } })],
  ['onConnect', () => ({ extra: { onConnect: (client: pg.Client) => client.query('LISTEN x') } })],
  ['client_encoding', () => ({ extra: { client_encoding: 'LATIN1' } })],
  ['limits of false', () => ({ extra: { statement_timeout: false, query_timeout: false } })],
  ['a lock_timeout of 1 ms', () => ({ extra: { lock_timeout: 1 } })],
  ['transaction_timeout', () => ({ extra: { options: '-c transaction_timeout=5000' } })],
  ['idle_session_timeout', () => ({ extra: { options: '-c idle_session_timeout=5000' } })],
  ['serializable', () => ({ extra: { options: '-c default_transaction_isolation=serializable' } })],
  ['no search_path', () => ({ extra: { options: '-c search_path=' } })],
  ['maxLifetimeSeconds of 1 ms', () => ({ extra: { maxLifetimeSeconds: 0.001 } })],
  ['idleTimeoutMillis of 0', () => ({ extra: { idleTimeoutMillis: 0 } })],
  ['logging', () => ({ logging: 'all', logger: 'debug', maxQueryExecutionTime: 1 })],
  ['logNotifications', () => ({ logNotifications: true })],
  ['poolErrorHandler', () => ({ poolErrorHandler: () => {} })],
  ['installExtensions', () => ({ installExtensions: true, uuidExtension: 'pgcrypto' })],
  ['entityPrefix', () => ({ entityPrefix: 'app_', namingStrategy: undefined })],
  ['isolationLevel', () => ({ isolationLevel: 'SERIALIZABLE' })],
  ['a long applicationName', () => ({ applicationName: 'é'.repeat(80) })],
  [
    'replication',
    ({ url: master }) => ({
      url: undefined,
      replication: { master: { url: master }, slaves: [{ url: master }], defaultMode: 'slave' },
    }),
  ],
];

const timers = (): number =>
  process.getActiveResourcesInfo().filter((each) => each === 'Timeout').length;

afterAll(async () => {
  const client = new pg.Client(url);
  await client.connect();
  await client.query(`DROP SCHEMA IF EXISTS ${schema} CASCADE`);
  await client.end();
});

/** Writes an entry twice, and reads in both ways. */
async function useLedger(options: LedgerOptions): Promise<object> {
  const module = await Test.createTestingModule({
    imports: [
      LedgerModule.forRoot({
        ledger: usage,
        migrations: 'run',
        connectAtBoot: true,
        flushMs: 5,
        ...options,
      }),
    ],
  }).compile();
  module.useLogger(false);
  await module.init();
  try {
    const ledger = module.get<LedgerService<typeof usage>>(LedgerService);
    const userId = Math.floor(Math.random() * 2 ** 40) + 1;
    const [uuid, createdAt] = [randomUUID(), new Date('2026-02-03T04:05:06.007Z')];
    const entry = { uuid, createdAt, userId, promptTokens: 7, cost: 9n, model: 'm' };
    const outcomes = [];
    for (let i = 0; i < 2; i++) outcomes.push((await ledger.recordAndWait(entry)).outcome);
    const { entries } = await ledger.listRecent({ userId });
    const period = { from: new Date('2026-02-01'), to: new Date('2026-03-01') };
    const rows = [];
    for await (const row of ledger.report({ ...period, userId, groupBy: ['model'] }))
      rows.push(row);
    const { consumedTokens } = await ledger.summary({ userId });
    const { deadLettered } = ledger.stats();
    return {
      ...{ outcomes, consumedTokens, deadLettered },
      listed: entries.map((each) => [each.uuid === uuid, each.createdAt, String(each.cost)]),
      models: rows.map((row) => (row as unknown as { model: string }).model),
    };
  } finally {
    await module.close();
  }
}

const EXPECTED = {
  outcomes: ['written', 'duplicate'],
  consumedTokens: 7,
  deadLettered: 0,
  listed: [[true, expect.anything(), '9']],
  models: ['m'],
};

describe('options of pg and TypeORM with other values', () => {
  it.each(MORE)('writes and reads the same with %s', async (_, of) => {
    expect(await useLedger({ connection: { url, ...of({ url }) } })).toEqual(EXPECTED);
  });

  it.each(MORE)('does so on a DataSource of the application with %s', async (_, of) => {
    const dataSource = new DataSource({ type: 'postgres', url, ...of({ url }) });
    await dataSource.initialize();
    try {
      expect(await useLedger({ dataSource })).toEqual(EXPECTED);
    } finally {
      await dataSource.destroy();
    }
  });

  it('works without the standby', async () => {
    const replication = { master: { url }, slaves: [{ url: 'postgres://app@127.0.0.1:1/away' }] };
    expect(await useLedger({ connection: { replication } })).toEqual(EXPECTED);
  });

  it("does not change the application's bigints", async () => {
    const client = new pg.Client(url);
    await client.connect();
    expect(await useLedger({ connection: { url, parseInt8: true } })).toEqual(EXPECTED);
    const { rows } = await client.query('SELECT 9007199254740993::bigint AS n');
    await client.end();
    expect(rows).toEqual([{ n: '9007199254740993' }]);
  });
});

describe.each(DRIVERS)('pg %s', (_, driver) => {
  it.each(EXTRAS)('writes and reads the same with %s', async (_, extra) => {
    expect(await useLedger({ connection: { url, driver, extra } })).toEqual(EXPECTED);
  });

  it.each(EXTRAS)('does so on a DataSource of the application with %s', async (_, extra) => {
    const options = {
      type: 'postgres',
      url,
      driver,
      extra,
      poolSize: 3,
      installExtensions: false,
    } as const;
    const dataSource = await new DataSource(options).initialize();
    try {
      expect(await useLedger({ dataSource })).toEqual(EXPECTED);
    } finally {
      await dataSource.destroy();
    }
  });

  it('keeps entries that take longer than query_timeout, and leaves no timer', async () => {
    const blocker = new pg.Client(url);
    await blocker.connect();
    const before = timers();
    const module = await Test.createTestingModule({
      imports: [
        LedgerModule.forRoot({
          ledger: usage,
          connection: { url: `${url}?query_timeout=300`, driver },
          ...{ connectAtBoot: true, flushMs: 5, retryMinMs: 50, retryMaxMs: 50 },
        }),
      ],
    }).compile();
    module.useLogger(false);
    await module.init();
    const ledger = module.get<LedgerService<typeof usage>>(LedgerService);
    await blocker.query(`BEGIN; LOCK ${schema}.usage_entries IN EXCLUSIVE MODE`);
    const written = ledger.recordAndWait({ userId: 1, promptTokens: 1 });
    while (ledger.stats().retries < 2) await new Promise((resolve) => setImmediate(resolve));
    await blocker.query('ROLLBACK');
    expect(['written', 'duplicate']).toContain((await written).outcome);
    const { offered, dropped, deadLettered, depth } = ledger.stats();
    expect({ offered, dropped, deadLettered, depth }).toEqual({
      offered: 1,
      dropped: 0,
      deadLettered: 0,
      depth: 0,
    });
    await module.close();
    await blocker.end();
    expect(timers()).toBeLessThanOrEqual(before);
  });
});
