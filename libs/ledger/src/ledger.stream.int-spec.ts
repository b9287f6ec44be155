import { randomUUID } from 'node:crypto';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Test, type TestingModule } from '@nestjs/testing';
import { DataSource } from 'typeorm';
import { afterAll, afterEach, beforeAll, describe, expect, inject, it } from 'vitest';
import { defineLedger, getLedgerHealthToken, getLedgerToken, LedgerModule } from './index.js';
import type { LedgerDefinition, LedgerHealthIndicator, LedgerService } from './index.js';
import type { LedgerStream } from './ports/ledger-stream.interface.js';
import { findNatsPrograms, NatsServers } from './nats/fixtures/nats-servers.fixture.js';
import { jetStream } from './nats/create-jet-stream.js';
import { InMemoryStream } from './testing/in-memory.stream.js';
import { assertConservation } from './testing/ledger-under-test.js';

const url = inject('databaseUrl');
const schema = `stream_${randomUUID().slice(0, 8)}`;
const older = defineLedger({ name: 'usage', schema });
const newer = defineLedger({ name: 'usage', schema, columns: { model: 'text' } });
const [program] = findNatsPrograms();

let admin: DataSource;
const modules: TestingModule[] = [];

beforeAll(async () => {
  admin = await new DataSource({ type: 'postgres', url }).initialize();
});
afterEach(async () => {
  await closeAll();
  await admin.query(`DROP SCHEMA IF EXISTS ${schema} CASCADE`);
});
afterAll(() => admin.destroy());

async function closeAll(): Promise<void> {
  await Promise.all(modules.splice(0).map((module) => module.close()));
}

async function boot(ledger: LedgerDefinition, options: object) {
  const imports = [
    LedgerModule.forRoot({ ledger, flushMs: 1, shutdownTimeoutMs: 5000, ...options }),
  ];
  const module = await Test.createTestingModule({ imports }).compile();
  modules.push(module);
  module.useLogger(false);
  await module.init();
  return {
    service: module.get<LedgerService<typeof older>>(getLedgerToken(ledger), { strict: false }),
    health: module.get<LedgerHealthIndicator>(getLedgerHealthToken(ledger), { strict: false }),
    close: () => module.close(),
  };
}

const gateway = (stream: LedgerStream, ledger: LedgerDefinition = older) =>
  boot(ledger, { stream, role: 'gateway' });
const writer = (stream: LedgerStream, ledger: LedgerDefinition = older) =>
  boot(ledger, {
    stream,
    role: 'writer',
    connection: { url },
    batchSize: 500,
    connectAtBoot: true,
  });

async function uuidsInTable(): Promise<string[]> {
  const rows = await admin.query<{ uuid: string }[]>(`SELECT uuid FROM ${schema}.usage_entries`);
  return rows.map(({ uuid }) => uuid);
}

/** What one kind of stream must do between applications and PostgreSQL. */
function describeApplications(connect: () => LedgerStream): void {
  it('brings each entry of two gateways into the table once, by two writers', async () => {
    const writers = [await writer(connect()), await writer(connect())];
    const gateways = [await gateway(connect()), await gateway(connect())];
    const answers = await Promise.all(
      Array.from({ length: 2000 }, (_, i) =>
        gateways[i % 2]!.service.recordAndWait({ userId: 1 + i }),
      ),
    );
    await expect.poll(async () => (await uuidsInTable()).length, { timeout: 20_000 }).toBe(2000);
    expect((await uuidsInTable()).sort()).toEqual(answers.map(({ uuid }) => uuid).sort());
    await Promise.all([...gateways, ...writers].map((each) => each.close()));
    const written = writers.map(({ service }) => service.stats());
    expect(written[0]!.written + written[1]!.written).toBe(2000);
    for (const { service } of [...gateways, ...writers]) {
      assertConservation(service.stats());
      expect(service.stats()).toMatchObject({ inFlight: 0, spilled: 0, deadLettered: 0 });
    }
  });

  it('accepts no entry in a writer, whose health asks the database', async () => {
    const { service, health } = await writer(connect());
    expect(service.record({ userId: 1 })).toBe('sealed');
    expect(await health.isHealthy('usage')).toMatchObject({ usage: { status: 'up' } });
    expect(await service.summary({ userId: '1' })).toMatchObject({ entries: 0 });
  });

  it('keeps entries of a newer definition for a writer that has it', async () => {
    const old = await writer(connect());
    const plain = await gateway(connect());
    const more = await gateway(connect(), newer);
    await plain.service.recordAndWait({ userId: 1 });
    await more.service.recordAndWait({ userId: 2, model: 'm' } as never);
    await expect.poll(async () => (await uuidsInTable()).length, { timeout: 20_000 }).toBe(1);
    await old.close();
    expect(old.service.stats()).toMatchObject({ written: 1, deadLettered: 0 });
    await plain.service.recordAndWait({ userId: 3 });
    await writer(connect(), newer);
    await expect.poll(async () => (await uuidsInTable()).length, { timeout: 20_000 }).toBe(3);
    const sql = `SELECT user_id, model FROM ${schema}.usage_entries ORDER BY 1`;
    expect(await admin.query(sql)).toEqual([
      { user_id: '1', model: null },
      { user_id: '2', model: 'm' },
      { user_id: '3', model: null },
    ]);
  });

  it('gives entries of an older definition what the table gave its own rows', async () => {
    const old = await writer(connect());
    const plain = await gateway(connect());
    await plain.service.recordAndWait({ userId: 1 });
    await expect.poll(async () => (await uuidsInTable()).length, { timeout: 20_000 }).toBe(1);
    await old.close();
    await admin.query(
      `ALTER TABLE ${schema}.usage_entries ADD COLUMN model text DEFAULT 'unknown'`,
    );
    await plain.service.recordAndWait({ userId: 2 });
    await writer(connect(), newer);
    await expect.poll(async () => (await uuidsInTable()).length, { timeout: 20_000 }).toBe(2);
    const sql = `SELECT user_id, model FROM ${schema}.usage_entries ORDER BY 1`;
    expect(await admin.query(sql)).toEqual([
      { user_id: '1', model: 'unknown' },
      { user_id: '2', model: 'unknown' },
    ]);
  });
}

describe('gateways and writers on a stream in memory', () => {
  let log = new InMemoryStream();
  afterEach(() => void (log = new InMemoryStream()));
  describeApplications(() => log.connect());

  it('give rows in the journal of an older gateway what the table gave its own rows', async () => {
    const journalDir = await mkdtemp(join(tmpdir(), 'nestjs-ledger-stream-'));
    try {
      await (await writer(log.connect())).close();
      await admin.query(
        `ALTER TABLE ${schema}.usage_entries ADD COLUMN model text DEFAULT 'unknown'`,
      );
      const parts = { role: 'gateway', journalDir, shutdownTimeoutMs: 300 };
      const old = await boot(older, { ...parts, stream: log.connect() });
      log.failAlways('transient');
      await old.service.recordAndWait({ userId: 1 });
      await old.close();
      expect(log.payloads()).toHaveLength(0);
      log.failAlways(undefined);
      const next = await boot(newer, { ...parts, stream: log.connect() });
      await next.service.recordAndWait({ userId: 2, model: null } as never);
      await writer(log.connect(), newer);
      await expect.poll(async () => (await uuidsInTable()).length, { timeout: 20_000 }).toBe(2);
      const sql = `SELECT user_id, model FROM ${schema}.usage_entries ORDER BY 1`;
      expect(await admin.query(sql)).toEqual([
        { user_id: '1', model: 'unknown' },
        { user_id: '2', model: null },
      ]);
      expect(next.service.stats()).toMatchObject({ recovered: 1, published: 2 });
      assertConservation(next.service.stats());
    } finally {
      await closeAll();
      await rm(journalDir, { recursive: true, force: true });
    }
  });
});

describe.skipIf(program === undefined)('gateways and writers on JetStream', () => {
  let servers: NatsServers;
  let number = 0;
  beforeAll(async () => {
    servers = await NatsServers.start(program!);
  });
  afterEach(async () => {
    await closeAll();
    // A fresh store: the next test's stream has the same subjects.
    await servers.stop();
    servers = await NatsServers.start(program!);
    number++;
  });
  afterAll(() => servers.stop());
  describeApplications(() =>
    jetStream({
      servers: servers.addresses,
      replicas: 1,
      maxBytes: 100_000_000,
      stream: `s-${number}`,
    }),
  );
});
