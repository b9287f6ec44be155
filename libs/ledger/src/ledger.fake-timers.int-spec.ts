import { randomUUID } from 'node:crypto';
import { Test, type TestingModule } from '@nestjs/testing';
import { DataSource } from 'typeorm';
import { afterAll, afterEach, beforeAll, describe, expect, inject, it, vi } from 'vitest';
import { defineLedger, LedgerModule, LedgerService, type LedgerOptions } from './index.js';

const url = inject('databaseUrl');
const schema = `faked_${randomUUID().slice(0, 8)}`;
const usage = defineLedger({ schema });
const NOW = new Date('2026-03-01T00:00:00.000Z');

let admin: DataSource;
let app: TestingModule | undefined;
beforeAll(async () => {
  admin = await new DataSource({ type: 'postgres', url }).initialize();
});
afterEach(async () => {
  vi.useRealTimers();
  await app?.close();
  app = undefined;
});
afterAll(async () => {
  await admin.query(`DROP SCHEMA IF EXISTS ${schema} CASCADE`);
  await admin.destroy();
});

async function boot(options: LedgerOptions): Promise<LedgerService> {
  const imports = [LedgerModule.forRoot({ ledger: usage, ...options })];
  const module = await Test.createTestingModule({ imports }).compile();
  app = module;
  await module.init();
  return module.get(LedgerService);
}

describe('a ledger on PostgreSQL under fake timers', () => {
  it('writes, with the faked date, and closes', async () => {
    vi.useFakeTimers({ now: NOW });
    const ledger = await boot({ connection: { url }, flushMs: 5 });
    ledger.record({ userId: 1, promptTokens: 3 });
    const { outcome } = await ledger.recordAndWait({ userId: 1 });
    expect(outcome).toBe('written');
    ledger.record({ userId: 1 });
    await app!.close();
    app = undefined;
    vi.useRealTimers();
    const sql = `SELECT created_at FROM ${schema}.usage_entries`;
    const rows = await admin.query<{ created_at: Date }[]>(sql);
    expect(rows).toEqual(Array.from({ length: 3 }, () => ({ created_at: NOW })));
  });

  it('closes within its limit where there is no database', async () => {
    const ledger = await boot({
      connection: { host: '127.0.0.1', port: 1 },
      shutdownTimeoutMs: 300,
      spillDir: '.tmp/fake-timers-spill',
    });
    vi.useFakeTimers({ now: NOW });
    ledger.record({ userId: 1 });
    await app!.close();
    app = undefined;
    expect(ledger.stats()).toMatchObject({ queued: 1, spilled: 1 });
  });
});
