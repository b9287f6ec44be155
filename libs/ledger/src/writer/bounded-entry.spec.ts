import { describe, expect, it } from 'vitest';
import { InvalidReporter } from './invalid-reporter.js';
import { RowCodec } from '../codec/row-codec.js';

const codec = new RowCodec({
  ...{ name: 'd', schema: undefined, table: 't', ids: 'text' },
  columns: { note: 'text', label: 'jsonb', price: 'numeric', seats: 'bigint', due: 'timestamptz' },
});
const LONG = 'x'.repeat(200_000_000);
const HUGE = 2n ** (2n ** 25n);
const MILLION = Array.from({ length: 1e6 }, (_, index) => index);
const MAP = new Map(MILLION.map((index) => [`key ${index}`, index]));
let nested: unknown = 1;
for (let i = 0; i < 100_000; i++) nested = { nested };

describe('record() of a huge value', () => {
  it.each<[string, Record<string, unknown>, string | undefined]>([
    ['a memo of 200 MB, which is cut', { memo: LONG }, undefined],
    ['attributes with a text of 200 MB, which are left out', { attributes: { LONG } }, undefined],
    ['attributes of many levels', { attributes: { nested } }, undefined],
    ['attributes with a list of a million', { attributes: { list: MILLION } }, undefined],
    [
      'attributes with a Map of a million, which JSON has no members of',
      { attributes: { MAP } },
      undefined,
    ],
    ['attributes with a million bytes', { attributes: { bytes: new Uint8Array(1e6) } }, undefined],
    ['a declared text', { note: LONG }, 'note'],
    ['jsonb', { label: [LONG] }, 'label'],
    ['a decimal text', { price: LONG }, 'price'],
    ['a bigint of 33 million bits for a numeric', { price: HUGE }, 'price'],
    ['the same for a bigint', { seats: HUGE }, 'seats'],
    ['a text for a bigint', { seats: LONG }, 'seats'],
    ['a text for a time', { due: LONG }, 'due'],
    ['a user', { userId: LONG }, 'userId'],
    ['a key', { idempotencyKey: LONG }, 'idempotencyKey'],
    ['a uuid', { uuid: LONG }, 'uuid'],
    ['a direction', { direction: LONG }, 'direction'],
  ])('takes less than 2 ms: %s', (_, given, field) => {
    const entry = { userId: 'ann', ...given };
    const times = Array.from({ length: 3 }, () => {
      const startedAt = performance.now();
      expect(codec.parser.parse(entry, Date.UTC(2026, 0, 1))?.field).toBe(field);
      return performance.now() - startedAt;
    });
    expect(Math.min(...times)).toBeLessThan(2);
  });

  it('takes no longer if it is reported and kept as a dead letter', () => {
    const kept: unknown[] = [];
    const reporter = new InvalidReporter({
      keeper: { hasRoom: true, keepLater: ({ entry }: { entry: unknown }) => kept.push(entry) },
      losses: { note: () => {} },
      clock: { now: () => 0 },
      fields: codec.fieldNames,
    } as never);
    const entry = {
      userId: HUGE,
      memo: LONG,
      attributes: { nested },
      label: [LONG],
      seats: [HUGE],
    };
    const times = Array.from({ length: 3 }, () => {
      const startedAt = performance.now();
      reporter.note({ field: 'userId', rule: 'must be a text' }, entry);
      return performance.now() - startedAt;
    });
    expect(kept).toHaveLength(3);
    expect(kept[0]).toEqual({ memo: 'x'.repeat(8192) });
    expect(Math.min(...times)).toBeLessThan(2);
  });
});
