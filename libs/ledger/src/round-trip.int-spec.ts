import type { WriteStrategy } from './ports/ledger-settings.interface.js';
import { randomUUID } from 'node:crypto';
import { Test, type TestingModule } from '@nestjs/testing';
import * as fc from 'fast-check';
import { DataSource } from 'typeorm';
import { afterAll, beforeAll, describe, expect, inject, it } from 'vitest';
import { defineLedger, getLedgerToken, LedgerModule } from './index.js';
import type { LedgerDefinition, LedgerService } from './index.js';
import { readUuid } from './codec/uuid.js';

const url = inject('databaseUrl');
const schema = `round_${randomUUID().slice(0, 8)}`;
const columns = {
  note: 'text',
  costNanos: 'bigint',
  retries: 'integer',
  price: 'numeric',
  isCached: 'boolean',
  tenantId: 'uuid',
  startedAt: 'timestamptz',
  labels: 'jsonb',
} as const;

let admin: DataSource;

beforeAll(async () => {
  admin = await new DataSource({ type: 'postgres', url }).initialize();
});

afterAll(async () => {
  await admin.query(`DROP SCHEMA IF EXISTS ${schema} CASCADE`);
  await admin.destroy();
});

async function open<T extends LedgerDefinition>(
  ledger: T,
  strategy: WriteStrategy,
): Promise<{ module: TestingModule; service: LedgerService<T> }> {
  const options = { connection: { url }, strategy, bufferSize: 100_000, batchSize: 500 };
  const module = await Test.createTestingModule({
    imports: [LedgerModule.forRoot({ ledger, ...options })],
  }).compile();
  await module.init();
  return { module, service: module.get<LedgerService<T>>(getLedgerToken(ledger)) };
}

/** Any text of several scripts, with what tends to break: quotes, tabs, NUL, half a surrogate pair. */
const anyText = fc.string({
  unit: fc.oneof(
    fc.constantFrom(
      '\0',
      '\t',
      '\n',
      '\r',
      '"',
      "'",
      '\\',
      '\\.',
      '\ud800',
      '\udfff',
      '😀',
      '\ufeff',
    ),
    fc.string({ unit: 'binary', minLength: 1, maxLength: 3 }),
  ),
  maxLength: 60,
});
const stored = (text: string): string => text.toWellFormed().replaceAll('\0', '\ufffd');

const decimal = fc
  .tuple(fc.bigInt({ min: -(10n ** 30n), max: 10n ** 30n }), fc.nat({ max: 12 }))
  .map(([unscaled, scale]) => {
    const digits = (unscaled < 0n ? -unscaled : unscaled).toString().padStart(scale + 1, '0');
    const whole = digits.slice(0, digits.length - scale);
    const text = scale === 0 ? whole : `${whole}.${digits.slice(-scale)}`;
    return unscaled < 0n ? `-${text}` : text;
  });

const json = fc.jsonValue({ maxDepth: 3 }).filter((value) => value !== null);

describe.each(['copy', 'insert'] as const)('what is recorded by strategy %s', (strategy) => {
  it('is read back exactly: every type of declared column, and any text', async () => {
    const ledger = defineLedger({ name: strategy, schema, table: `all_${strategy}`, columns });
    const { module, service } = await open(ledger, strategy);
    const entry = fc.record({
      note: anyText,
      memo: anyText,
      costNanos: fc.bigInt({ min: -(2n ** 63n), max: 2n ** 63n - 1n }),
      retries: fc.integer(),
      price: decimal,
      isCached: fc.boolean(),
      tenantId: fc.uuid(),
      startedAt: fc.date({
        min: new Date('1000-01-01'),
        max: new Date('9000-01-01'),
        noInvalidDate: true,
      }),
      labels: json,
      attributes: fc.dictionary(anyText, fc.jsonValue({ maxDepth: 2 }), { maxKeys: 5 }),
      promptTokens: fc.nat({ max: 2_147_483_647 }),
      direction: fc.constantFrom('consume' as const, 'supply' as const),
    });
    const given = fc.sample(entry, { numRuns: 500, seed: 20_260_101 });
    for (const each of given) {
      const userId = 2n ** 63n - 1n;
      expect(service.record({ ...each, userId })).toBe('queued');
    }
    await service.flush();
    expect(service.stats()).toMatchObject({ written: given.length, deadLettered: 0 });
    const { entries } = await service.listRecent({ userId: '9223372036854775807', limit: 1000 });
    const inOrder = [...entries].sort((a, b) => sequenceOf(a.uuid) - sequenceOf(b.uuid));
    for (const [index, { memo, note, costNanos, startedAt, ...rest }] of given.entries()) {
      expect(inOrder[index]).toMatchObject({
        userId: '9223372036854775807',
        memo: stored(memo),
        note: stored(note),
        costNanos: costNanos.toString(),
        startedAt: startedAt.toISOString(),
        price: rest.price.replace(/^-(?=[0.]*$)/, ''),
        tenantId: rest.tenantId,
        retries: rest.retries,
        promptTokens: rest.promptTokens,
        direction: rest.direction,
      });
      expect(inOrder[index]!.labels).toEqual(asStored(rest.labels));
      expect(inOrder[index]!.attributes).toEqual(asStored(rest.attributes));
    }
    await module.close();
  });

  it.each([
    ['uuid', '01890a5d-ac96-774b-bcce-b302099a8057'],
    ['text', 'ünïcode "user" \\ 😀'],
    ['bigint', '9223372036854775807'],
  ] as const)('keeps %s ids as they are', async (ids, userId) => {
    const ledger = defineLedger({ name: ids, schema, table: `ids_${ids}_${strategy}`, ids });
    const { module, service } = await open(ledger as LedgerDefinition, strategy);
    await service.recordAndWait({ userId, apiKeyId: userId, serviceId: userId });
    const { entries } = await service.listRecent({ userId });
    expect(entries).toMatchObject([{ userId, apiKeyId: userId, serviceId: userId }]);
    await module.close();
  });

  it('groups a hundred waiting callers into a handful of batches', async () => {
    const ledger = defineLedger({ name: `w${strategy}`, schema, table: `waits_${strategy}` });
    const { module, service } = await open(ledger, strategy);
    await service.recordAndWait({ userId: 1 });
    const before = await commits(`waits_${strategy}`);
    const waits = Array.from({ length: 100 }, (_, i) => service.recordAndWait({ userId: i + 1 }));
    expect((await Promise.all(waits)).every(({ outcome }) => outcome === 'written')).toBe(true);
    expect((await commits(`waits_${strategy}`)) - before).toBeLessThanOrEqual(4);
    await module.close();
  });
});

/** Transactions that wrote the table, counted by their numbers. */
async function commits(table: string): Promise<number> {
  const rows: { n: string }[] = await admin.query(
    `SELECT count(DISTINCT xmin::text) AS n FROM ${schema}.${table}`,
  );
  return Number(rows[0]!.n);
}

function sequenceOf(uuid: string): number {
  return readUuid(uuid)!.sequence;
}

/** What JSON and jsonb make of a value: -0 is 0, refused characters are replaced. */
function asStored(value: unknown): unknown {
  return JSON.parse(JSON.stringify(value), (_, part: unknown) => {
    if (typeof part === 'string') return stored(part);
    if (typeof part !== 'object' || part === null || Array.isArray(part)) return part;
    return Object.fromEntries(Object.entries(part).map(([key, each]) => [stored(key), each]));
  });
}
