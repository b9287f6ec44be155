import { describe, expect, it } from 'vitest';
import type { IdType } from '../entry/ledger-definition.js';
import { RowCodec } from './row-codec.js';

const NOW = Date.UTC(2026, 0, 1);
const DAY_MS = 86_400_000;

function faultOf(entry: unknown, ids: IdType = 'bigint'): string | undefined {
  const columns = { costNanos: 'bigint', labels: 'jsonb', price: 'numeric', note: 'text' } as const;
  const table = { name: 'default', schema: undefined, table: 'usage_entries', ids, columns };
  const fault = new RowCodec(table).parser.parse(entry, NOW);
  return fault && `${fault.field} ${fault.rule}`;
}

describe('EntryParser', () => {
  it.each([
    [undefined, 'entry must be an object, got undefined'],
    [null, 'entry must be an object, got null'],
    ['text', 'entry must be an object, got a string'],
    [[], 'userId is required, got undefined'],
    [{}, 'userId is required, got undefined'],
    [{ userId: null }, 'userId is required, got null'],
    [{ userId: 0 }, 'userId must be an integer from 1 to 2^63 - 1, got a number'],
    [{ userId: -1 }, 'userId must be an integer from 1 to 2^63 - 1, got a negative number'],
    [{ userId: 1.5 }, 'userId must be an integer from 1 to 2^63 - 1, got a fraction'],
    [{ userId: Number.NaN }, 'userId must be an integer from 1 to 2^63 - 1, got NaN'],
    [
      { userId: 2 ** 53 },
      'userId must be an integer from 1 to 2^63 - 1, got a number above 2^53 - 1',
    ],
    [{ userId: '12a' }, 'userId must be an integer from 1 to 2^63 - 1, got a string'],
    [{ userId: '' }, 'userId must be an integer from 1 to 2^63 - 1, got an empty string'],
    [{ userId: '-' }, 'userId must be an integer from 1 to 2^63 - 1, got a string'],
    [{ userId: 2n ** 63n }, 'userId must be an integer from 1 to 2^63 - 1, got a bigint'],
    [
      { userId: '9223372036854775808' },
      'userId must be an integer from 1 to 2^63 - 1, got a string',
    ],
    [
      { userId: 1, promptTokens: -1 },
      'promptTokens must be 0 or more, except where the entry corrects another',
    ],
    [
      { userId: 1, promptTokens: 3e9 },
      'promptTokens must be an integer from 0 to 2147483647, got a number',
    ],
    [
      { userId: 1, completionTokens: '5' },
      'completionTokens must be an integer from 0 to 2147483647, got a string',
    ],
    [{ userId: 1, direction: 'give' }, "direction must be 'consume' or 'supply', got a string"],
    [{ userId: 1, memo: 5 }, 'memo must be a string, got a number'],
    [{ userId: 1, attributes: [] }, 'attributes must be a plain JSON object, got an array'],
    [{ userId: 1, attributes: new Date(0) }, 'attributes must be a plain JSON object, got a Date'],
    [
      { userId: 1, attributes: { n: 1n } },
      'attributes must be serialisable as JSON, without cycles and bigints',
    ],
    [
      { userId: 1, attributes: { toJSON: () => 5 } },
      'attributes must be a JSON object once serialised',
    ],
    [{ userId: 1, createdAt: '2026-01-01' }, 'createdAt must be a valid Date, got a string'],
    [
      { userId: 1, createdAt: new Date(Number.NaN) },
      'createdAt must be a valid Date, got an invalid Date',
    ],
    [
      { userId: 1, createdAt: new Date('1999-12-31T23:59:59.999Z') },
      'createdAt must be a Date from 2000 to one day ahead, got one outside',
    ],
    [
      { userId: 1, createdAt: new Date(NOW + DAY_MS + 1) },
      'createdAt must be a Date from 2000 to one day ahead, got one outside',
    ],
    [
      { userId: 1, uuid: 'x' },
      'uuid must be a uuid of the form xxxxxxxx-xxxx-xxxx-xxxx-xxxxxxxxxxxx, got a string',
    ],
    [
      { userId: 1, idempotencyKey: '' },
      'idempotencyKey must be a text of 1 to 256 bytes, got an empty string',
    ],
    [
      { userId: 1, idempotencyKey: 'k\ud800' },
      'idempotencyKey must be a text without lone surrogates',
    ],
    [
      { userId: 1, idempotencyKey: 'k', uuid: '01890a5d-ac96-774b-bcce-b302099a8057' },
      'idempotencyKey must not be given beside uuid, which it would make',
    ],
    [
      { userId: 1, idempotencyKey: 'k'.repeat(257), createdAt: new Date(NOW) },
      'idempotencyKey must be a text of 1 to 256 bytes, got more',
    ],
    [
      { userId: 1, costNanos: 2n ** 63n },
      'costNanos must be an integer from -2^63 to 2^63 - 1, got a bigint',
    ],
    [{ userId: 1, labels: () => 1 }, 'labels must be a JSON value, got a function'],
    [
      { userId: 1, price: Number.POSITIVE_INFINITY },
      'price must be a finite number, a bigint or a decimal text of at most 8192 digits, got Infinity',
    ],
    [
      { userId: 1, price: '1e99999' },
      'price must be a finite number, a bigint or a decimal text of at most 8192 digits, got a string',
    ],
    [{ userId: 1, note: 'n'.repeat(8193) }, 'note must be at most 8192 bytes in UTF-8, got more'],
  ])('refuses %o by field, rule and kind', (entry, fault) => {
    expect(faultOf(entry)).toBe(fault);
  });

  it('takes an idempotency key alone, and requires createdAt only if partitions need it', () => {
    const plain = { name: 'd', schema: undefined, table: 't', ids: 'bigint', columns: {} } as const;
    const partitioned = new RowCodec({ ...plain, partition: 'day' }).parser;
    const entry = { userId: 1, idempotencyKey: 'k' };
    expect(faultOf(entry)).toBeUndefined();
    expect(partitioned.parse(entry, NOW)).toEqual({
      field: 'idempotencyKey',
      rule: 'needs createdAt, the same at each try: the table has partitions by time',
    });
    expect(partitioned.parse({ ...entry, createdAt: new Date(NOW) }, NOW)).toBeUndefined();
  });

  it('takes both ends of every range', () => {
    const corrects = '01890a5d-ac96-774b-bcce-b302099a8057';
    expect(faultOf({ userId: 1, promptTokens: -2147483647, corrects })).toBeUndefined();
    expect(faultOf({ userId: 2n ** 63n - 1n, promptTokens: -0 })).toBeUndefined();
    expect(faultOf({ userId: 1, createdAt: new Date(NOW + DAY_MS) })).toBeUndefined();
    expect(faultOf({ userId: 1, createdAt: new Date(Date.UTC(2000, 0, 1)) })).toBeUndefined();
    expect(faultOf({ userId: 'ü'.repeat(128) }, 'text')).toBeUndefined();
  });

  it.each([
    ['', 'userId must be a text of 1 to 256 bytes, got an empty string'],
    ['ü'.repeat(129), 'userId must be a text of 1 to 256 bytes, got more'],
    ['a\0', 'userId must be a text without U+0000'],
    ['a\ud800', 'userId must be a text without lone surrogates'],
  ])('refuses the text id %j, rather than make one id of two', (userId, fault) => {
    expect(faultOf({ userId }, 'text')).toBe(fault);
  });

  it('names the field whose getter threw', () => {
    const entry = {
      userId: 1,
      get memo(): string {
        throw new Error('secret');
      },
    };
    expect(faultOf(entry)).toBe('memo must be readable, but reading it threw');
  });

  it('reads each property once', () => {
    const reads: PropertyKey[] = [];
    const fields: Record<PropertyKey, unknown> = { userId: 1 };
    const entry = new Proxy(fields, {
      get: (target, key) => {
        reads.push(key);
        return target[key];
      },
    });
    expect(faultOf(entry)).toBeUndefined();
    expect(new Set(reads).size).toBe(reads.length);
  });

  it('refuses an entry that a getter of another entry records', () => {
    const table = { name: 'd', schema: undefined, table: 't', ids: 'bigint', columns: {} } as const;
    const { parser } = new RowCodec(table);
    let inner: unknown;
    const entry = {
      get userId(): number {
        inner = parser.parse({ userId: 2 }, NOW);
        return 1;
      },
    };
    expect(parser.parse(entry, NOW)).toBeUndefined();
    expect(inner).toEqual({ field: 'entry', rule: 'must not be recorded by a getter' });
  });
});
