import * as fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import type { IdType, LedgerTable } from '../entry/ledger-definition.js';
import { createRowTarget } from './row-target.js';
import { RowCodec } from './row-codec.js';
import { readUuid } from './uuid.js';

const NOW = Date.UTC(2026, 0, 1);
const ALL_COLUMNS = {
  note: 'text',
  costNanos: 'bigint',
  retries: 'integer',
  price: 'numeric',
  isCached: 'boolean',
  tenantId: 'uuid',
  startedAt: 'timestamptz',
  labels: 'jsonb',
} as const;

function tableOf(ids: IdType, columns: LedgerTable['columns'] = {}): LedgerTable {
  return { name: 'default', schema: undefined, table: 'usage_entries', ids, columns };
}

/** Encodes and decodes an entry; returns the fault if it was refused. */
function roundTrip(codec: RowCodec, entry: unknown, sequence = 7): Record<string, unknown> {
  const fault = codec.parser.parse(entry, NOW);
  if (fault !== undefined) return { fault };
  const target = createRowTarget(codec.maxRowBytes + 64);
  target.bytes.fill(0xee);
  const end = codec.encode(target, 0, { run: 0xdeadbeef, sequence });
  expect(end).toBeLessThanOrEqual(codec.maxRowBytes);
  expect(target.bytes.subarray(end).every((byte) => byte === 0xee)).toBe(true);
  return codec.decode(target.bytes.subarray(0, end));
}

describe('RowCodec', () => {
  it('round-trips every field of a full entry', () => {
    const codec = new RowCodec(tableOf('bigint', ALL_COLUMNS));
    const stored = roundTrip(codec, {
      userId: '9223372036854775807',
      apiKeyId: 42n,
      serviceId: 7,
      promptTokens: 2147483647,
      completionTokens: 0,
      direction: 'supply',
      memo: 'tab\t, line\n, "quote", back\\slash, 😀',
      attributes: { model: 'gpt', nested: { list: [1, null, true] } },
      corrects: '01890A5D-AC96-774B-BCCE-B302099A8057',
      createdAt: new Date('2025-06-07T08:09:10.123Z'),
      uuid: '01890a5d-ac96-774b-bcce-b302099a8058',
      note: 'naïve',
      costNanos: '-9223372036854775808',
      retries: -3,
      price: '-12345678901234567890.00012300',
      isCached: false,
      tenantId: '01890a5d-ac96-774b-bcce-b302099a8059',
      startedAt: new Date('1969-12-31T23:59:59.999Z'),
      labels: ['a', 1],
    });
    expect(stored).toEqual({
      uuid: '01890a5d-ac96-774b-bcce-b302099a8058',
      userId: '9223372036854775807',
      apiKeyId: '42',
      serviceId: '7',
      promptTokens: 2147483647,
      completionTokens: 0,
      direction: 'supply',
      memo: 'tab\t, line\n, "quote", back\\slash, 😀',
      attributes: { model: 'gpt', nested: { list: [1, null, true] } },
      corrects: '01890a5d-ac96-774b-bcce-b302099a8057',
      createdAt: '2025-06-07T08:09:10.123Z',
      note: 'naïve',
      costNanos: '-9223372036854775808',
      retries: -3,
      price: '-12345678901234567890.00012300',
      isCached: false,
      tenantId: '01890a5d-ac96-774b-bcce-b302099a8059',
      startedAt: '1969-12-31T23:59:59.999Z',
      labels: ['a', 1],
    });
  });

  it('fills the defaults of an entry that has only a user', () => {
    const stored = roundTrip(new RowCodec(tableOf('text')), { userId: 'ann' });
    expect(stored).toMatchObject({
      userId: 'ann',
      apiKeyId: null,
      promptTokens: 0,
      completionTokens: 0,
      direction: 'consume',
      memo: null,
      attributes: null,
      createdAt: new Date(NOW).toISOString(),
    });
  });

  it('makes UUIDv7s with createdAt, run and sequence', () => {
    const codec = new RowCodec(tableOf('bigint'));
    const createdAt = new Date('2025-06-07T08:09:10.123Z');
    const sequence = 2 ** 40 + 12345;
    const { uuid } = roundTrip(codec, { userId: 1, createdAt }, sequence);
    expect(uuid).toMatch(/^[0-9a-f]{8}-[0-9a-f]{4}-7[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$/);
    expect(readUuid(uuid as string)).toEqual({
      createdAt: createdAt.getTime(),
      run: 'deadbeef',
      sequence,
    });
  });

  it('makes strictly increasing uuids even when the clock is set back by ten seconds', () => {
    const codec = new RowCodec(tableOf('bigint'));
    const target = createRowTarget(1024);
    const uuids = [NOW + 5, NOW + 5, NOW - 9_995, NOW + 6].map((now, sequence) => {
      expect(codec.parser.parse({ userId: 1 }, now)).toBeUndefined();
      codec.encode(target, 0, { run: 1, sequence });
      return RowCodec.uuidOf(target.bytes);
    });
    expect([...uuids].sort()).toEqual(uuids);
    expect(new Set(uuids).size).toBe(uuids.length);
  });

  it('follows a clock that is set back further, which had a wrong time before', () => {
    const codec = new RowCodec(tableOf('bigint'));
    const target = createRowTarget(1024);
    const hour = 3_600_000;
    const clock = [NOW + 8 * hour, NOW, NOW + 1, NOW - 5, NOW + hour];
    const uuids = clock.map((now, sequence) => {
      expect(codec.parser.parse({ userId: 1 }, now)).toBeUndefined();
      codec.encode(target, 0, { run: 1, sequence });
      return RowCodec.uuidOf(target.bytes);
    });
    const times = uuids.map((uuid) => readUuid(uuid)!.createdAt - NOW);
    expect(times).toEqual([8 * hour, 0, 1, 1, hour]);
    expect(new Set(uuids).size).toBe(uuids.length);
  });

  describe('the uuid of an idempotency key', () => {
    const uuidOf = (codec: RowCodec, entry: Record<string, unknown>): unknown =>
      roundTrip(codec, entry)['uuid'];

    it('depends on user and key only, without a time', () => {
      const codec = new RowCodec(tableOf('bigint'));
      const entry = { userId: 1, idempotencyKey: 'order 1' };
      const uuid = uuidOf(codec, entry);
      expect(uuid).toMatch(/^00000000-0000-8[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$/);
      expect(uuidOf(codec, { ...entry, createdAt: new Date(NOW - 5000) })).toBe(uuid);
      expect(uuidOf(codec, { ...entry, promptTokens: 7 })).toBe(uuid);
      expect(uuidOf(codec, { ...entry, idempotencyKey: 'order 2' })).not.toBe(uuid);
      expect(uuidOf(codec, { ...entry, userId: 2 })).not.toBe(uuid);
    });

    it.each<[IdType, unknown[]]>([
      ['bigint', [7, 7n, '7', '007']],
      ['uuid', ['01890a5d-ac96-774b-bcce-b302099a8057', '01890A5D-AC96-774B-BCCE-B302099A8057']],
    ])('is the same however an id of type %s is written', (ids, spellings) => {
      const codec = new RowCodec(tableOf(ids));
      const uuids = spellings.map((userId) => uuidOf(codec, { userId, idempotencyKey: 'k' }));
      expect(new Set(uuids).size).toBe(1);
    });

    it('differs for another user with another key', () => {
      const codec = new RowCodec(tableOf('text'));
      const text = fc.string({ minLength: 1, maxLength: 8 }).filter((id) => !id.includes('\0'));
      fc.assert(
        fc.property(text, text, text, (left, middle, right) => {
          const one = uuidOf(codec, { userId: left + middle, idempotencyKey: right });
          const other = uuidOf(codec, { userId: left, idempotencyKey: middle + right });
          expect(one).not.toBe(other);
        }),
      );
    });

    it('begins with createdAt where the table has partitions', () => {
      const codec = new RowCodec({ ...tableOf('bigint'), partition: 'month' });
      const at = (ms: number): unknown =>
        uuidOf(codec, { userId: 1, idempotencyKey: 'k', createdAt: new Date(ms) });
      expect(at(NOW)).toBe(at(NOW));
      expect(at(NOW)).toMatch(/^019b76da-a800-81ed-[89ab]/);
      expect(at(NOW - 1)).not.toBe(at(NOW));
    });
  });

  it('sets the sequence of a row later', () => {
    const codec = new RowCodec(tableOf('bigint'));
    const target = createRowTarget(1024);
    codec.parser.parse({ userId: 1 }, NOW);
    codec.encode(target, 0, { run: 77, sequence: 1 });
    codec.resequence(target, 0, { run: 77, sequence: 2 ** 33 + 5 });
    expect(readUuid(RowCodec.uuidOf(target.bytes))).toMatchObject({ sequence: 2 ** 33 + 5 });
  });

  it('round-trips bigint ids exactly over the whole range', () => {
    const codec = new RowCodec(tableOf('bigint'));
    fc.assert(
      fc.property(fc.bigInt({ min: 1n, max: 2n ** 63n - 1n }), (id) => {
        expect(roundTrip(codec, { userId: id })['userId']).toBe(id.toString());
        expect(roundTrip(codec, { userId: id.toString() })['userId']).toBe(id.toString());
        const small = Number(id % 2n ** 53n) || 1;
        expect(roundTrip(codec, { userId: small })['userId']).toBe(small.toString());
      }),
    );
  });

  it('round-trips declared columns of every type', () => {
    const codec = new RowCodec(tableOf('uuid', ALL_COLUMNS));
    const entry = fc.record({
      userId: fc.uuid(),
      memo: fc.string({ unit: 'grapheme', maxLength: 300 }),
      note: fc.string({ unit: 'grapheme', maxLength: 100 }),
      costNanos: fc.bigInt({ min: -(2n ** 63n), max: 2n ** 63n - 1n }),
      retries: fc.integer(),
      isCached: fc.boolean(),
      tenantId: fc.uuid(),
      startedAt: fc.date({ min: new Date('-004000-01-01'), noInvalidDate: true }),
    });
    fc.assert(
      fc.property(entry, (given) => {
        expect(roundTrip(codec, given)).toMatchObject({
          ...given,
          memo: given.memo.replaceAll('\0', '\ufffd'),
          note: given.note.replaceAll('\0', '\ufffd'),
          costNanos: given.costNanos.toString(),
          startedAt: given.startedAt.toISOString(),
        });
      }),
    );
  });

  it('refuses 8 KiB of digits that are no number in one pass', () => {
    const codec = new RowCodec(tableOf('bigint', { price: 'numeric' }));
    const entry = { userId: 1, price: `${'1'.repeat(8190)}x` };
    // The work takes 0.05 s; a pattern that backtracks from each digit takes more than a minute.
    const refusals = 500;
    const deadline = performance.now() + 10_000;
    let refused = 0;
    while (refused < refusals && performance.now() < deadline) {
      expect(codec.parser.parse(entry, NOW)).toMatchObject({ field: 'price' });
      refused++;
    }
    expect(refused).toBe(refusals);
  });

  it('round-trips numeric columns as decimal texts', () => {
    const codec = new RowCodec(tableOf('bigint', { price: 'numeric' }));
    const priceOf = (price: unknown): unknown => roundTrip(codec, { userId: 1, price })['price'];
    expect(priceOf('0')).toBe('0');
    expect(priceOf('-0.000')).toBe('0.000');
    expect(priceOf('00012.50')).toBe('12.50');
    expect(priceOf('.5')).toBe('0.5');
    expect(priceOf(1e21)).toBe('1000000000000000000000');
    expect(priceOf(1.5e-7)).toBe('0.00000015');
    expect(priceOf(123_456_789n)).toBe('123456789');
    fc.assert(
      fc.property(fc.bigInt(), fc.nat({ max: 40 }), (unscaled, scale) => {
        const digits = (unscaled < 0n ? -unscaled : unscaled).toString().padStart(scale + 1, '0');
        const whole = digits.slice(0, digits.length - scale);
        const text = scale === 0 ? whole : `${whole}.${digits.slice(digits.length - scale)}`;
        const isZero = /^[0.]*$/.test(text);
        expect(priceOf(`-${text}`)).toBe(isZero ? text : `-${text}`);
      }),
    );
  });

  it('replaces U+0000 and lone surrogates in notes, which the server would refuse', () => {
    const codec = new RowCodec(tableOf('bigint', { note: 'text', labels: 'jsonb' }));
    const stored = roundTrip(codec, {
      userId: 1,
      memo: 'a\0b\ud800c',
      note: `${'x'.repeat(40)}\0\udc00`,
      attributes: { 'k\0': ['v\0', { deep: '\ud83d' }], ok: '😀' },
      labels: '\0',
    });
    expect(stored).toMatchObject({
      memo: 'a\ufffdb\ufffdc',
      note: `${'x'.repeat(40)}\ufffd\ufffd`,
      attributes: { 'k\ufffd': ['v\ufffd', { deep: '\ufffd' }], ok: '😀' },
      labels: '\ufffd',
    });
  });

  it('cuts a memo above 8 KiB at a code point', () => {
    const codec = new RowCodec(tableOf('bigint'));
    const memoOf = (memo: string): string =>
      roundTrip(codec, { userId: 1, memo })['memo'] as string;
    expect(memoOf('m'.repeat(8192))).toBe('m'.repeat(8192));
    expect(codec.parser.memo.wasCut).toBe(false);
    expect(memoOf('m'.repeat(8193))).toBe('m'.repeat(8192));
    expect(codec.parser.memo.wasCut).toBe(true);
    expect(memoOf(`m${'😀'.repeat(5000)}`)).toBe(`m${'😀'.repeat(2047)}`);
    expect(memoOf('\0'.repeat(3000))).toBe('\ufffd'.repeat(2730));
  });

  it('leaves out attributes above 8 KiB, or too deep to serialise', () => {
    const codec = new RowCodec(tableOf('bigint'));
    const large = roundTrip(codec, { userId: 1, attributes: { text: 'a'.repeat(8192) } });
    expect(large['attributes']).toBeNull();
    expect(codec.parser.attributes.wasDropped).toBe(true);
    const fits = { text: 'a'.repeat(8192 - '{"text":""}'.length) };
    expect(roundTrip(codec, { userId: 1, attributes: fits })['attributes']).toEqual(fits);
    let deep: Record<string, unknown> = {};
    for (let i = 0; i < 100_000; i++) deep = { deep };
    expect(roundTrip(codec, { userId: 1, attributes: deep })['attributes']).toBeNull();
  });
});
