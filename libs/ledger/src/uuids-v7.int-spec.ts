import { randomUUID } from 'node:crypto';
import { Test, type TestingModule } from '@nestjs/testing';
import { DataSource } from 'typeorm';
import { afterAll, beforeAll, describe, expect, inject, it } from 'vitest';
import {
  defineLedger,
  getLedgerToken,
  LedgerModule,
  newEntryUuid,
  type LedgerService,
} from './index.js';

const url = inject('databaseUrl');
const schema = `uuids_${randomUUID().slice(0, 8)}`;
const usage = defineLedger({ schema, uuids: 'v7', columns: { model: 'text' } });
let admin: DataSource;
let module: TestingModule;
let ledger: LedgerService<typeof usage>;

beforeAll(async () => {
  admin = await new DataSource({ type: 'postgres', url }).initialize();
  module = await Test.createTestingModule({
    imports: [LedgerModule.forRoot({ ledger: usage, connection: { url }, connectAtBoot: true })],
  }).compile();
  await module.init();
  ledger = module.get<LedgerService<typeof usage>>(getLedgerToken(usage));
  // As a hypertable by uuid does.
  await admin.query(
    `ALTER TABLE ${schema}.usage_entries ADD CHECK (substr(uuid::text, 15, 1) = '7')`,
  );
});
afterAll(async () => {
  await module.close();
  await admin.query(`DROP SCHEMA ${schema} CASCADE`);
  await admin.destroy();
});

describe('a ledger with uuids: v7', () => {
  it('writes entries, corrections and reversals into a table that refuses other uuids', async () => {
    const { uuid } = await ledger.recordAndWait({ userId: 1, promptTokens: 5, model: 'a' });
    await ledger.recordAndWait({ userId: 1, promptTokens: -1, corrects: uuid });
    await ledger.recordAndWait({ userId: 1, promptTokens: 2, uuid: newEntryUuid() });
    const reversed = await ledger.reverse(uuid, { reason: 'by mistake' });
    expect(await ledger.reverse(uuid, { reason: 'twice' })).toEqual({
      uuid: reversed.uuid,
      outcome: 'duplicate',
    });
    expect(await ledger.summary({ userId: 1 })).toMatchObject({ consumedTokens: 1, entries: 4 });
    expect(ledger.stats()).toMatchObject({ written: 4, deadLettered: 0 });
  });

  it('takes the same uuid of newEntryUuid() once', async () => {
    const entry = { userId: 2, promptTokens: 7, uuid: newEntryUuid(), createdAt: new Date() };
    expect((await ledger.recordAndWait(entry)).outcome).toBe('written');
    expect((await ledger.recordAndWait(entry)).outcome).toBe('duplicate');
  });

  it('refuses other uuids, and keys, before they reach the table', async () => {
    const uuid = { reason: 'uuid must be a UUIDv7 in this ledger (uuids: v7)' };
    for (const other of [randomUUID(), '00000000-0000-8000-8000-000000000001']) {
      await expect(ledger.recordAndWait({ userId: 3, uuid: other })).rejects.toMatchObject({
        field: 'uuid',
        message: expect.stringContaining(uuid.reason) as string,
      });
    }
    // @ts-expect-error such a ledger has no keys
    const keyed = ledger.recordAndWait({ userId: 3, idempotencyKey: 'order-1' });
    await expect(keyed).rejects.toMatchObject({ field: 'idempotencyKey' });
    // @ts-expect-error the same for record()
    expect(ledger.record({ userId: 3, idempotencyKey: 'order-1' })).toBe('invalid');
    expect(await ledger.summary({ userId: 3 })).toMatchObject({ entries: 0 });
  });

  it('is a fault of the definition for any other value', () => {
    expect(() => defineLedger({ uuids: 'v4' as 'v7' })).toThrow('uuids must be v7, or left out');
  });
});
