import { describe, expect, it } from 'vitest';
import { defineLedger, type LedgerDefinition } from '../define-ledger.js';
import type { LedgerReadError } from '../errors/ledger-read.error.js';
import { MAX_LIMIT } from '../reading/parse-read-query.js';
import { InMemoryReader, type WrittenEntry } from './in-memory.reader.js';

const ASKED_AT = new Date('2026-01-06T00:00:00Z');
const USER = '0190a1b2-0000-7000-8000-00000000000a';
const columns = {
  model: 'text',
  tenant: 'uuid',
  seats: 'integer',
  isTrial: 'boolean',
  cost: 'numeric',
} as const;
const usage = defineLedger({ ids: 'uuid', columns });
const plain = defineLedger();

const uuidOf = (number: number): string => USER.slice(0, -2) + String(number).padStart(2, '0');

function entryOf(number: number, more: object = {}): WrittenEntry {
  const createdAt = '2026-01-05T00:00:00.000Z';
  return {
    ...{ uuid: uuidOf(number), userId: USER, apiKeyId: null, serviceId: null, memo: null },
    ...{ promptTokens: 1, completionTokens: 0, direction: 'consume', attributes: null },
    ...{ corrects: null, createdAt, writtenAt: createdAt },
    ...more,
  };
}

/** As seen by a caller without types. */
interface Untyped {
  summary(query: unknown): Promise<{ entries: number }>;
  listRecent(query: unknown): Promise<{ entries: { uuid: string }[]; nextCursor: string | null }>;
  find(uuid: string): Promise<object | undefined>;
}

function readerOf(entries: readonly WrittenEntry[], definition: object = usage): Untyped {
  return new InMemoryReader(
    definition as LedgerDefinition,
    () => entries,
    () => ASKED_AT,
  );
}

/** The field that a read refuses; undefined if it answers. */
async function refused(reading: Promise<unknown>): Promise<string | undefined> {
  const error: unknown = await reading.then(
    () => undefined,
    (thrown: unknown) => thrown,
  );
  if (error === undefined) return undefined;
  expect(error).toMatchObject({ code: 'LEDGER_READ', reason: 'invalid' });
  return (error as LedgerReadError).field;
}

describe('a summary in memory', () => {
  it.each([
    ['a mistyped filter', { userID: USER }, '"userID"'],
    ['an id of another type', { userId: 7 }, 'userId'],
    ['no id', { apiKeyId: null }, 'apiKeyId'],
    ['a value of another type', { seats: '1.5' }, 'seats'],
    ['a column that can not be asked for', { cost: '1.5' }, 'cost'],
    ['a time that is none', { from: '2026-01-05' }, 'from'],
    ['a period that ends before it begins', { from: ASKED_AT, to: new Date(0) }, 'from'],
    ['what is no object', [], 'query'],
  ])('refuses %s, as production does', async (_what, query, field) => {
    expect(await refused(readerOf([]).summary(query))).toBe(field);
  });

  it('compares values as PostgreSQL does', async () => {
    const tenant = '0190a1b2-0000-7000-8000-00000000000b';
    const reader = readerOf([
      entryOf(1, { model: 'gpt', tenant, seats: 7, isTrial: true }),
      entryOf(2, { model: null, tenant: null, seats: null, isTrial: null }),
    ]);
    const count = async (query: object): Promise<number> => (await reader.summary(query)).entries;
    expect(await count({ userId: USER.toUpperCase() })).toBe(2);
    expect(await count({ tenant: tenant.toUpperCase() })).toBe(1);
    expect(await count({ seats: '007' })).toBe(1);
    expect(await count({ isTrial: true })).toBe(1);
    expect(await count({ model: 'gpt' })).toBe(1);
    expect(await count({ model: 'GPT' })).toBe(0);
    expect(await count({ model: 'null' })).toBe(0);
    expect(await count({ fresh: true, to: ASKED_AT })).toBe(2);
  });
});

describe('recent entries in memory', () => {
  it.each([
    ['a limit above the highest', { limit: MAX_LIMIT + 1 }, 'limit'],
    ['a limit of nothing', { limit: 0 }, 'limit'],
    ["a cursor of one's own making", { cursor: '2026-01-05 x' }, 'cursor'],
    ['a field that nobody reads', { offset: 1 }, '"offset"'],
    ['no user', { userId: undefined }, 'userId'],
    ['an id of another type', { userId: 'me' }, 'userId'],
  ])('refuse %s, as production does', async (_what, query, field) => {
    expect(await refused(readerOf([]).listRecent({ userId: USER, ...query }))).toBe(field);
  });

  it('come in pages without gap or repetition, even with equal times', async () => {
    const late = { createdAt: '2026-01-05T00:00:00.001Z' };
    const reader = readerOf([entryOf(2), entryOf(1, late), entryOf(4), entryOf(3)]);
    const pages: string[][] = [];
    let cursor: string | null | undefined;
    while (cursor !== null) {
      const query = { userId: USER.toUpperCase(), limit: 2, ...(cursor && { cursor }) };
      const page = await reader.listRecent(query);
      pages.push(page.entries.map(({ uuid }) => uuid));
      cursor = page.nextCursor;
    }
    expect(pages).toEqual([
      [uuidOf(1), uuidOf(4)],
      [uuidOf(3), uuidOf(2)],
    ]);
  });

  it('of a bigint ledger are requested by number or text', async () => {
    const reader = readerOf([entryOf(1, { userId: '7' })], plain);
    for (const userId of [7, 7n, '7', '007']) {
      expect((await reader.listRecent({ userId })).entries).toHaveLength(1);
    }
    expect(await refused(reader.listRecent({ userId: -7 }))).toBe('userId');
  });
});

describe('an entry in memory', () => {
  it('is found only by its uuid', async () => {
    const reader = readerOf([entryOf(1, { uuid: USER })]);
    expect(await reader.find(USER.toUpperCase())).toMatchObject({ uuid: USER });
    expect(await reader.find(uuidOf(9))).toBeUndefined();
    expect(await refused(reader.find('1'))).toBe('uuid');
  });
});
