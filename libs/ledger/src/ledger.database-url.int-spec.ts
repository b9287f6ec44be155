import { randomUUID } from 'node:crypto';
import { Module } from '@nestjs/common';
import { Test, type TestingModule } from '@nestjs/testing';
import { TypeOrmModule } from '@nestjs/typeorm';
import { DataSource } from 'typeorm';
import { afterAll, afterEach, beforeAll, describe, expect, inject, it, vi } from 'vitest';
import {
  createLedgerConfig,
  defineLedger,
  getLedgerToken,
  LedgerModule,
  LedgerService,
  isLedgerError,
} from './index.js';

const url = inject('databaseUrl');
const schema = `url_${randomUUID().slice(0, 8)}`;
const usage = defineLedger({ name: 'usage', schema });
const config = createLedgerConfig(usage, { defaults: { flushMs: 5 } });

let admin: DataSource;
let app: TestingModule | undefined;

beforeAll(async () => {
  admin = await new DataSource({ type: 'postgres', url }).initialize();
});
afterEach(async () => {
  await app?.close();
  app = undefined;
  vi.unstubAllEnvs();
});
afterAll(async () => {
  await admin.query(`DROP SCHEMA IF EXISTS ${schema} CASCADE`);
  await admin.destroy();
});

@Module({ imports: [LedgerModule.forRootAsync(config.asProvider())] })
class MeterModule {}

async function boot(...imports: Parameters<typeof Test.createTestingModule>[0]['imports'] & {}) {
  const module = await Test.createTestingModule({ imports: [...imports, MeterModule] }).compile();
  app = module;
  await module.init();
  return module.get<LedgerService>(getLedgerToken(usage), { strict: false });
}

describe('an application with nothing but DATABASE_URL', () => {
  it('writes there, and migrates it, as the commands look there', async () => {
    vi.stubEnv('DATABASE_URL', url);
    const ledger = await boot();
    await ledger.recordAndWait({ userId: 7 });
    const sql = `SELECT count(*)::int AS n FROM ${schema}.usage_entries`;
    expect(await admin.query<{ n: number }[]>(sql)).toEqual([{ n: 1 }]);
  });

  it('uses its own DataSource where it has one, whatever the variable says', async () => {
    vi.stubEnv('DATABASE_URL', 'mysql://nobody@127.0.0.1:1/x');
    const ledger = await boot(TypeOrmModule.forRoot({ type: 'postgres', url, poolSize: 3 }));
    const { outcome } = await ledger.recordAndWait({ userId: 7 });
    expect(outcome).toBe('written');
  });

  it('does not start if that is no PostgreSQL, and says which variable to set', async () => {
    vi.stubEnv('DATABASE_URL', 'mysql://me:s3cret@127.0.0.1:1/x');
    const error: unknown = await boot().catch((reason: unknown) => reason);
    expect(isLedgerError(error, 'LEDGER_OPTIONS')).toBe(true);
    expect(String(error)).toContain('DATABASE_URL = (not shown) (environment)');
    expect(String(error)).toContain('in LEDGER_DATABASE_URL');
    expect(String(error)).not.toContain('s3cret');
  });
});
