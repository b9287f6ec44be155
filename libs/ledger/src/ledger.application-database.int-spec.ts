import { randomUUID } from 'node:crypto';
import { Inject, Injectable, Module, Global } from '@nestjs/common';
import { Test } from '@nestjs/testing';
import { TypeOrmModule } from '@nestjs/typeorm';
import { DataSource } from 'typeorm';
import { afterAll, beforeAll, describe, expect, inject, it } from 'vitest';
import {
  defineLedger,
  getLedgerToken,
  LedgerHealthIndicator,
  LedgerModule,
  LedgerService,
  type LedgerDefinition,
  type LedgerOptions,
} from './index.js';

const url = inject('databaseUrl');
const schema = `application_${randomUUID().slice(0, 8)}`;
const usage = defineLedger({ schema });
const fast = { flushMs: 5 } satisfies LedgerOptions;

let admin: DataSource;

beforeAll(async () => {
  admin = await new DataSource({ type: 'postgres', url }).initialize();
  await migrate(usage);
});

afterAll(async () => {
  await admin.query(`DROP SCHEMA IF EXISTS ${schema} CASCADE`);
  await admin.destroy();
});

/** As a deployment does, by another process. */
async function migrate(ledger: LedgerDefinition): Promise<void> {
  const module = await Test.createTestingModule({
    imports: [LedgerModule.forRoot({ ledger, connection: { url }, connectAtBoot: true })],
  }).compile();
  await module.init();
  await module.close();
}

async function count(table: string, memo: string): Promise<number> {
  const rows: { n: string }[] = await admin.query(
    `SELECT count(*) AS n FROM ${schema}.${table} WHERE memo = $1`,
    [memo],
  );
  return Number(rows[0]!.n);
}

describe('a ledger on a DataSource of the application', () => {
  it('writes to a DataSource that it is given, and leaves it open', async () => {
    const memo = randomUUID();
    const dataSource = await new DataSource({ type: 'postgres', url }).initialize();
    const module = await Test.createTestingModule({
      imports: [LedgerModule.forRoot({ ledger: usage, dataSource, ...fast })],
    }).compile();
    await module.init();
    await module.get(LedgerService).recordAndWait({ userId: 1, memo });
    await module.close();
    expect(await count('usage_entries', memo)).toBe(1);
    expect(dataSource.isInitialized).toBe(true);
    await dataSource.destroy();
  });

  it.each([
    ['a missing table', 'nowhere', `SELECT`, /nowhere/],
    ['a missing column', 'narrow', `ALTER TABLE ${schema}.narrow DROP COLUMN cost`, /cost/],
  ])(
    'boots on the application’s database with %s, halted, and writes when it is mended',
    async (_, table, harm, named) => {
      const memo = randomUUID();
      const dataSource = await new DataSource({ type: 'postgres', url }).initialize();
      const ledger = defineLedger({ schema, table, columns: { cost: 'bigint' } });
      if (table === 'narrow') await migrate(ledger);
      await admin.query(harm);
      const module = await Test.createTestingModule({
        imports: [LedgerModule.forRoot({ ledger, dataSource, retryMaxMs: 100, ...fast })],
      }).compile();
      module.useLogger(false);
      await module.init();
      const service = module.get<LedgerService<typeof ledger>>(getLedgerToken(ledger));
      const health = module.get(LedgerHealthIndicator);
      expect(service.stats()).toMatchObject({
        state: 'halted',
        reason: expect.stringMatching(named),
      });
      expect(service.stats().reason).toContain('npx nestjs-ledger migrate');
      expect(JSON.stringify(await health.isHealthy('ledger'))).toMatch(named);
      expect(service.record({ userId: 1, memo, cost: 5n })).toBe('queued');
      const written = service.recordAndWait({ userId: 1, memo });
      // Another process mends it, as a deployment does.
      await migrate(ledger);
      expect(await written).toMatchObject({ outcome: 'written' });
      expect(service.stats()).toMatchObject({ state: 'running', written: 2, dropped: 0 });
      await module.close();
      await dataSource.destroy();
    },
  );

  it('fails the boot with connectAtBoot when the table is missing, and says what to do', async () => {
    const dataSource = await new DataSource({ type: 'postgres', url }).initialize();
    const missing = defineLedger({ schema, table: 'never' });
    const module = await Test.createTestingModule({
      imports: [LedgerModule.forRoot({ ledger: missing, dataSource, connectAtBoot: true })],
    }).compile();
    await expect(module.init()).rejects.toThrow(/never.*npx nestjs-ledger migrate/s);
    await dataSource.destroy();
  });

  it('uses at most one connection less than the application’s pool has', async () => {
    const dataSource = await new DataSource({ type: 'postgres', url, poolSize: 3 }).initialize();
    const module = await Test.createTestingModule({
      imports: [LedgerModule.forRoot({ ledger: usage, dataSource, numWorkers: 8 })],
    }).compile();
    await module.init();
    expect(module.get(LedgerService).stats().workers.total).toBe(2);
    await module.close();
    await dataSource.destroy();
  });
});

describe('a global ledger on the application’s DataSource', () => {
  const typeOrm = TypeOrmModule.forRoot({ type: 'postgres', url });

  it.each([
    ['before', (ledger: object) => [ledger, typeOrm]],
    ['behind', (ledger: object) => [typeOrm, ledger]],
  ])('listed %s TypeOrmModule, drains before the DataSource is closed', async (_, order) => {
    const memo = randomUUID();

    @Injectable()
    class Late {
      constructor(@Inject(getLedgerToken(usage)) readonly ledger: LedgerService) {}

      beforeApplicationShutdown(): void {
        this.ledger.record({ userId: 2, memo });
      }
    }

    @Global()
    @Module({ providers: [Late], exports: [Late] })
    class FeatureModule {}

    const ledgerModule = LedgerModule.forRoot({ ledger: usage, isGlobal: true, flushMs: 60_000 });
    const module = await Test.createTestingModule({
      imports: [...order(ledgerModule), FeatureModule] as never,
    }).compile();
    await module.init();
    const { ledger } = module.get(Late);
    for (let i = 0; i < 5; i++) ledger.record({ userId: 1, memo });
    await module.close();
    expect(ledger.stats()).toMatchObject({ state: 'sealed', written: 6, spilled: 0 });
    expect(await count('usage_entries', memo)).toBe(6);
  });
});
