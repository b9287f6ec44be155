import { randomUUID } from 'node:crypto';
import pg from 'pg';
import { DataSource } from 'typeorm';
import { afterAll, beforeAll, describe, expect, expectTypeOf, inject, it } from 'vitest';
import { CLOCK, createReadingDatabase, readerOf } from './fixtures/ledger-reading.fixture.js';
import type { ReadingDatabase } from './fixtures/ledger-reading.fixture.js';
import { defineLedger } from '../define-ledger.js';
import type { RecentEntry } from '../ports/read-query.interface.js';
import { PgConnections } from '../postgres/pg-connections.js';
import { UsageReader } from './usage-reader.js';

let database: ReadingDatabase;

beforeAll(async () => {
  database = await createReadingDatabase(inject('databaseUrl'));
});

afterAll(() => database.drop());

describe('listRecent', () => {
  it('returns every type of column as plain JSON, without losing a digit', async () => {
    const usage = defineLedger({
      schema: database.schema,
      table: 'all.types "here"',
      columns: {
        note: 'text',
        costNanos: 'bigint',
        retries: 'integer',
        price: 'numeric',
        order: 'boolean',
        tenantId: 'uuid',
        until: 'timestamptz',
        extra: 'jsonb',
      },
    });
    const reader = await database.open(usage);
    const uuids = [randomUUID(), randomUUID(), randomUUID()].toSorted();
    const tenant = randomUUID();
    await database.insert(
      usage,
      {
        uuid: uuids[1]!,
        user_id: '9223372036854775807',
        api_key_id: '9007199254740993',
        service_id: '1',
        prompt_tokens: 2147483647,
        completion_tokens: 7,
        direction: 'supply',
        memo: 'tab\t "quotes" \\ 🎈\n',
        attributes: '{"a":{"b":[1,null,"x"]}}',
        created_at: '2026-02-03T04:05:06.789+02:00',
        written_at: '2026-02-03T04:05:06.789999Z',
        note: '',
        cost_nanos: '-9223372036854775808',
        retries: -1,
        price: '12345678901234567890.098765432109876543210',
        order: false,
        tenant_id: tenant,
        until: '1969-12-31T23:59:59.9995Z',
        extra: '[1,"x"]',
      },
      { uuid: uuids[0]!, user_id: '9223372036854775807', corrects: uuids[1], prompt_tokens: -3 },
    );
    const { entries, ...rest } = await reader.listRecent({ userId: 2n ** 63n - 1n });
    expectTypeOf(entries).toEqualTypeOf<RecentEntry<typeof usage>[]>();
    expectTypeOf(entries[0]!.price).toEqualTypeOf<string | null>();
    expect(rest).toEqual({ nextCursor: null, asOf: CLOCK.toISOString() });
    expect(entries[0]).toEqual({
      uuid: uuids[1],
      userId: '9223372036854775807',
      apiKeyId: '9007199254740993',
      serviceId: '1',
      promptTokens: 2147483647,
      completionTokens: 7,
      direction: 'supply',
      memo: 'tab\t "quotes" \\ 🎈\n',
      attributes: { a: { b: [1, null, 'x'] } },
      corrects: null,
      createdAt: '2026-02-03T02:05:06.789Z',
      writtenAt: '2026-02-03T04:05:06.789Z',
      note: '',
      costNanos: '-9223372036854775808',
      retries: -1,
      price: '12345678901234567890.098765432109876543210',
      order: false,
      tenantId: tenant,
      until: '1969-12-31T23:59:59.999Z',
      extra: [1, 'x'],
    });
    const { writtenAt, ...sparse } = entries[1]!;
    expect(Date.now() - Date.parse(writtenAt)).toBeLessThan(60_000);
    expect(sparse).toEqual({
      ...Object.fromEntries(Object.keys(sparse).map((field) => [field, null])),
      uuid: uuids[0],
      userId: '9223372036854775807',
      promptTokens: -3,
      completionTokens: 0,
      direction: 'consume',
      corrects: uuids[1],
      createdAt: '2026-01-01T00:00:00.000Z',
    });
    expect(Object.keys(sparse)).toHaveLength(19);
    expect(JSON.parse(JSON.stringify(entries))).toEqual(entries);
  });

  it.each([
    ['uuid', '0190a1b2-0000-7000-8000-0000000000ff'],
    ['text', `O'Neill "🎈" \\ \t\n'; DROP`],
  ] as const)('finds entries by an id of type %s', async (ids, id) => {
    const usage = defineLedger({
      schema: database.schema,
      table: `ids ${randomUUID()}`.slice(0, 40),
      ids,
    });
    const reader = await database.open(usage);
    await database.insert(usage, { user_id: id, api_key_id: id, service_id: id, prompt_tokens: 5 });
    const { entries } = await reader.listRecent({ userId: id });
    expect(entries).toMatchObject([{ userId: id, apiKeyId: id, serviceId: id }]);
    const query = { userId: id, apiKeyId: id, serviceId: id };
    expect(await reader.summary(query)).toMatchObject({ consumedTokens: 5, entries: 1 });
  });

  it("returns times far away, even beyond JavaScript's range, unless a page continues there", async () => {
    const usage = defineLedger({
      schema: database.schema,
      table: 'times',
      columns: { until: 'timestamptz' },
    });
    const reader = await database.open(usage);
    const years = ['294276-12-31T23:59:59Z', '3000-01-01T00:00:00.999999Z', '0044-03-15 BC'];
    const times = ['infinity', '-infinity', ...years];
    for (const until of times)
      await database.insert(usage, { user_id: 1, until, created_at: until });
    const { entries } = await reader.listRecent({ userId: 1 });
    expect(entries.map(({ createdAt }) => createdAt)).toEqual([
      'infinity',
      'infinity',
      '3000-01-01T00:00:00.999Z',
      '-000043-03-15T00:00:00.000Z',
      '-infinity',
    ]);
  });

  it('does not depend on type parsers and settings of the application', async () => {
    const usage = defineLedger({ schema: database.schema, table: 'parsers' });
    const reader = await database.open(usage);
    await database.insert(usage, { user_id: 1, attributes: '{"a":1}' });
    const before = (await reader.listRecent({ userId: 1 })).entries;
    const oids = [pg.types.builtins.TEXT, pg.types.builtins.INT8, pg.types.builtins.JSONB];
    const parsers = oids.map((oid) => pg.types.getTypeParser(oid));
    for (const oid of oids) pg.types.setTypeParser(oid, () => 'spoilt');
    const other = await new DataSource({
      type: 'postgres',
      url: inject('databaseUrl'),
      extra: {
        options: '-c DateStyle=German -c TimeZone=Asia/Kathmandu -c IntervalStyle=iso_8601',
      },
    }).initialize();
    try {
      const elsewhere = readerOf(other, usage);
      expect((await elsewhere.listRecent({ userId: 1 })).entries).toEqual(before);
    } finally {
      await other.destroy();
      for (const [index, oid] of oids.entries()) pg.types.setTypeParser(oid, parsers[index]);
    }
  });

  it('pages without gap or repetition through ties, while newer entries arrive', async () => {
    const usage = defineLedger({ schema: database.schema, table: 'pages' });
    const reader = await database.open(usage);
    const rows = Array.from({ length: 25 }, (_, index) => ({
      uuid: randomUUID(),
      user_id: 1,
      // Ten entries each share a microsecond, which milliseconds can't distinguish from the next.
      created_at: `2026-01-01T00:00:00.00000${Math.floor(index / 10)}Z`,
    }));
    await database.insert(usage, ...rows, { user_id: 2 });
    const expected = rows
      .toSorted((a, b) => (`${a.created_at} ${a.uuid}` < `${b.created_at} ${b.uuid}` ? 1 : -1))
      .map(({ uuid }) => uuid);
    const seen: string[] = [];
    let cursor: string | null | undefined;
    let pages = 0;
    do {
      const page = await reader.listRecent({ userId: 1, limit: 4, ...(cursor && { cursor }) });
      seen.push(...page.entries.map(({ uuid }) => uuid));
      cursor = page.nextCursor;
      pages += 1;
      await database.insert(usage, { user_id: 1, created_at: `2026-02-01T00:00:0${pages}Z` });
    } while (cursor);
    expect(seen).toEqual(expected);
    expect(pages).toBe(7);
  });

  it('reports no next page if the last one is exactly full', async () => {
    const usage = defineLedger({ schema: database.schema, table: 'full' });
    const reader = await database.open(usage);
    await database.insert(usage, { user_id: 1 }, { user_id: 1 });
    const { entries, nextCursor } = await reader.listRecent({ userId: 1, limit: 2 });
    expect(entries).toHaveLength(2);
    expect(nextCursor).toBeNull();
    expect(await reader.listRecent({ userId: 3 })).toMatchObject({ entries: [], nextCursor: null });
  });

  it('refuses wrong arguments before anything is sent', async () => {
    const usage = defineLedger({ schema: database.schema, table: 'never made' });
    const connections = new PgConnections({
      dataSource: () => expect.unreachable(),
      ownsDataSource: false,
    });
    const reader = new UsageReader({ definition: usage, connections, asOf: () => CLOCK });
    const fields = await Promise.all(
      [{}, { userId: 'x' }, { userId: 1, limit: 1001 }, { userId: 1, cursor: 'x' }].map((query) =>
        reader.listRecent(query as { userId: number }).catch((error: unknown) => error),
      ),
    );
    expect(fields).toMatchObject([
      { code: 'LEDGER_READ', reason: 'invalid', field: 'userId' },
      { field: 'userId' },
      { field: 'limit' },
      { field: 'cursor' },
    ]);
  });
});
