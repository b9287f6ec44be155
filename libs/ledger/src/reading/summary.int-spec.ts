import { randomUUID } from 'node:crypto';
import { afterAll, beforeAll, describe, expect, inject, it } from 'vitest';
import { CLOCK, createReadingDatabase } from './fixtures/ledger-reading.fixture.js';
import type { ReadingDatabase } from './fixtures/ledger-reading.fixture.js';
import { defineLedger } from '../define-ledger.js';
import { tableNames } from '../postgres/table-names.js';

let database: ReadingDatabase;

beforeAll(async () => {
  database = await createReadingDatabase(inject('databaseUrl'));
});

afterAll(() => database.drop());

describe('summary', () => {
  it('adds up both kinds of tokens by direction, corrections included', async () => {
    const usage = defineLedger({ schema: database.schema, table: 'sums' });
    const reader = await database.open(usage);
    const corrects = randomUUID();
    await database.insert(
      usage,
      { user_id: 1, prompt_tokens: 100, completion_tokens: 20, api_key_id: 7 },
      { user_id: 1, prompt_tokens: -10, completion_tokens: -5, corrects },
      { user_id: 1, prompt_tokens: 50, completion_tokens: 1, direction: 'supply', service_id: 9 },
      { user_id: 2, prompt_tokens: 1000, api_key_id: 7 },
    );
    const asOf = CLOCK.toISOString();
    expect(await reader.summary({ userId: '1' })).toEqual({
      consumedTokens: 105,
      suppliedTokens: 51,
      netTokens: -54,
      entries: 3,
      asOf,
    });
    expect(await reader.summary({})).toMatchObject({ consumedTokens: 1105, entries: 4 });
    expect(await reader.summary({ apiKeyId: 7 })).toMatchObject({ consumedTokens: 1120 });
    expect(await reader.summary({ serviceId: 9n })).toMatchObject({ netTokens: 51, entries: 1 });
    expect(await reader.summary({ userId: 2, serviceId: 9 })).toEqual({
      consumedTokens: 0,
      suppliedTokens: 0,
      netTokens: 0,
      entries: 0,
      asOf,
    });
  });

  it('counts a time in the period that begins with it and not in the one that ends', async () => {
    const usage = defineLedger({ schema: database.schema, table: 'periods' });
    const reader = await database.open(usage);
    const noon = new Date('2026-05-01T12:00:00.000Z');
    const count = async (from?: Date, to?: Date): Promise<number> =>
      (await reader.summary({ userId: 1, from, to })).entries;
    await database.insert(usage, { user_id: 1, created_at: noon });
    const [before, after] = [-1, 1].map((ms) => new Date(noon.getTime() + ms));
    expect(await count(noon)).toBe(1);
    expect(await count(undefined, noon)).toBe(0);
    expect(await count(noon, after)).toBe(1);
    expect(await count(before, noon)).toBe(0);
    expect(await count(noon, noon)).toBe(0);
    expect(await count(after)).toBe(0);
    await expect(count(after, before)).rejects.toMatchObject({ reason: 'invalid', field: 'from' });
  });

  it('is exact up to 2^53 - 1 and an error above it', async () => {
    const usage = defineLedger({ schema: database.schema, table: 'large' });
    const reader = await database.open(usage);
    const { sqlEntries } = tableNames(usage);
    // Otherwise 2,097,152 rows of 2^32 - 2 tokens would be needed; a column of bigint needs few.
    for (const column of ['prompt_tokens', 'completion_tokens']) {
      await database.client.query(`ALTER TABLE ${sqlEntries} ALTER ${column} TYPE bigint`);
    }
    const max = String(2n ** 53n - 1n);
    await database.insert(usage, { user_id: 1, prompt_tokens: max });
    await database.insert(usage, { user_id: 1, prompt_tokens: max, direction: 'supply' });
    expect(await reader.summary({ userId: 1 })).toMatchObject({
      consumedTokens: 2 ** 53 - 1,
      suppliedTokens: 2 ** 53 - 1,
      netTokens: 0,
    });
    await database.insert(usage, { user_id: 1, completion_tokens: 1 });
    await expect(reader.summary({ userId: 1 })).rejects.toMatchObject({
      code: 'LEDGER_READ',
      reason: 'overflow',
      field: 'consumedTokens',
    });
    await database.insert(usage, { user_id: 2, prompt_tokens: max });
    const back = { prompt_tokens: `-${max}`, corrects: randomUUID(), direction: 'supply' };
    await database.insert(usage, { user_id: 2, ...back });
    await expect(reader.summary({ userId: 2 })).rejects.toMatchObject({ field: 'netTokens' });
  });
});
