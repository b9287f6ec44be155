import { randomUUID } from 'node:crypto';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Test, type TestingModule } from '@nestjs/testing';
import { afterAll, afterEach, beforeAll, describe, expect, inject, it } from 'vitest';
import { DataSource } from 'typeorm';
import { outputTo } from './cli/fixtures/command-output.fixture.js';
import { definitionOptions } from './cli/fixtures/definition-options.fixture.js';
import { runProgram } from './cli/program.js';
import { FileSpillStore } from './files/file-spill-store.js';
import { defineLedger, getLedgerToken, LedgerModule } from './index.js';
import type { LedgerDefinition, LedgerOptions, LedgerService } from './index.js';

const url = inject('databaseUrl');
const schema = `keys_${randomUUID().slice(0, 8)}`;
const opened: TestingModule[] = [];
let admin: DataSource;

beforeAll(async () => {
  admin = await new DataSource({ type: 'postgres', url }).initialize();
  await admin.query(`CREATE SCHEMA ${schema}`);
});
afterEach(async () => {
  for (const module of opened.splice(0)) await module.close();
});
afterAll(async () => {
  await admin.query(`DROP SCHEMA ${schema} CASCADE`);
  await admin.destroy();
});

let tables = 0;
const table = (): string => `keys_${++tables}`;

/** A process's ledger: several of one definition write to one table. */
async function open<T extends LedgerDefinition>(
  ledger: T,
  options: LedgerOptions = {},
): Promise<LedgerService<T>> {
  const module = await Test.createTestingModule({
    imports: [LedgerModule.forRoot({ ledger, connection: { url }, flushMs: 5, ...options })],
  }).compile();
  opened.push(module);
  await module.init();
  return module.get<LedgerService<T>>(getLedgerToken(ledger));
}

const codeOf = (error: { reason?: string }): unknown => error.reason;

describe.each(['copy', 'insert'] as const)(
  'an idempotencyKey alone, by strategy %s',
  (strategy) => {
    it('makes a repeated entry a duplicate, whenever it is repeated', async () => {
      const ledger = await open(defineLedger({ schema, table: table(), ids: 'text' }), {
        strategy,
      });
      const entry = { userId: 'ann', promptTokens: 10, idempotencyKey: 'order-17' };
      const first = await ledger.recordAndWait(entry);
      const { entries } = await ledger.listRecent({ userId: 'ann' });
      const again = await ledger.recordAndWait(entry);
      expect([first.outcome, again.outcome]).toEqual(['written', 'duplicate']);
      expect(again.uuid).toBe(first.uuid);
      const other = await ledger.recordAndWait({ ...entry, userId: 'bob' });
      expect(other.outcome).toBe('written');
      expect(await ledger.summary()).toMatchObject({ consumedTokens: 20, entries: 2 });
      // The time of the first try stays.
      expect((await ledger.listRecent({ userId: 'ann' })).entries).toEqual(entries);
    });

    it('finds both in one batch, and in two processes at once', async () => {
      const definition = defineLedger({ schema, table: table() });
      const [one, two] = await Promise.all([
        open(definition, { strategy, numWorkers: 4, batchSize: 2 }),
        open(definition, { strategy, numWorkers: 4, batchSize: 3 }),
      ]);
      const entry = (n: number) => ({ userId: n, promptTokens: n, idempotencyKey: `job:${n}` });
      const waits = Array.from({ length: 100 }, (_, i) => entry((i % 20) + 1)).flatMap((each) => [
        one.recordAndWait(each),
        two.recordAndWait(each),
      ]);
      const outcomes = (await Promise.all(waits)).map(({ outcome }) => outcome);
      expect(outcomes.filter((outcome) => outcome === 'written')).toHaveLength(20);
      expect(outcomes.filter((outcome) => outcome === 'duplicate')).toHaveLength(180);
      expect(await one.summary()).toMatchObject({ consumedTokens: 210, entries: 20 });
    });

    it('is a conflict where the content differs, or a createdAt that the caller gave', async () => {
      const definition = defineLedger({ schema, table: table(), columns: { note: 'text' } });
      const ledger = await open(definition, { strategy });
      const createdAt = new Date('2026-01-02T03:04:05.678Z');
      const withoutTime = { userId: 1, note: 'a', idempotencyKey: 'k' };
      const entry = { ...withoutTime, createdAt };
      await ledger.recordAndWait(entry);
      expect((await ledger.recordAndWait(entry)).outcome).toBe('duplicate');
      expect((await ledger.recordAndWait(withoutTime)).outcome).toBe('duplicate');
      for (const other of [
        { ...entry, createdAt: new Date(createdAt.getTime() + 1) },
        { ...entry, note: 'b' },
        { ...withoutTime, note: null },
        { ...withoutTime, promptTokens: 1 },
      ]) {
        expect(await ledger.recordAndWait(other).catch(codeOf)).toBe('conflict');
      }
      expect(ledger.stats()).toMatchObject({ written: 1, duplicate: 2, conflicts: 4 });
    });
  },
);

describe('an idempotencyKey alone', () => {
  it('is counted once by rollups as well', async () => {
    const ledger = await open(defineLedger({ schema, table: table(), rollup: true }));
    const entry = { userId: 1, promptTokens: 10, idempotencyKey: 'a' };
    for (let i = 0; i < 3; i++) await ledger.recordAndWait(entry);
    expect(await ledger.summary({ userId: 1 })).toMatchObject({ consumedTokens: 10, entries: 1 });
  });

  it('is one entry too where the second try was spilled and replayed', async () => {
    const definition = defineLedger({ schema, table: table() });
    const ledger = await open(definition);
    const { uuid } = await ledger.recordAndWait({ userId: 1, idempotencyKey: 'a' });
    const dir = await mkdtemp(join(tmpdir(), 'ledger-keys-'));
    try {
      // A spilled entry has the uuid of its key, and the time of its try.
      const entry = { uuid, userId: '1', createdAt: '2026-02-03T04:05:06.789Z' };
      await new FileSpillStore({ dir, ledger: 'default' }).spill([
        { uuid, mayExist: false, attempts: 1, queuedAt: 0, entry },
      ]);
      const said: string[] = [];
      const own = ['--database-url', url, ...definitionOptions(definition)];
      const output = outputTo((line) => void said.push(line));
      expect(await runProgram(['replay', dir, ...own], output)).toBe(0);
      expect(said.at(-1)).toBe('replayed: 0 written, 1 already there, 0 refused');
    } finally {
      await rm(dir, { recursive: true });
    }
  });

  it('needs createdAt in a partitioned table, where it is part of the uuid', async () => {
    const ledger = await open(defineLedger({ schema, table: table(), partition: 'month' }));
    const createdAt = new Date();
    const entry = { userId: 1, idempotencyKey: 'a', createdAt };
    await ledger.recordAndWait(entry);
    expect((await ledger.recordAndWait(entry)).outcome).toBe('duplicate');
    // @ts-expect-error without createdAt
    expect(ledger.record({ userId: 1, idempotencyKey: 'a' })).toBe('invalid');
  });
});
