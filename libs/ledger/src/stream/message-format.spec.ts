import * as fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { Batch, type RowBlock } from '../channel/batch.js';
import type { LedgerTable } from '../entry/ledger-definition.js';
import { createRowEncoder } from '../sink-kit/row-encoder.js';
import { rowBatch } from '../sink-kit/sink-trial.js';
import { cutBatch, decodeMessage, encodeMessage, isForReader } from './message-format.js';
import { layoutOf } from './row-layout.js';

const TABLE: LedgerTable = {
  name: 'usage',
  schema: undefined,
  table: 'usage_entries',
  ids: 'bigint',
  columns: { model: 'text' },
};
const layout = layoutOf(TABLE);
const encode = createRowEncoder(TABLE);
const rows = (memos: readonly string[]): Buffer[] =>
  memos.map((memo) => encode({ userId: 1, memo, model: 'm' }));

function messageOf(memos: readonly string[]) {
  const batch = rowBatch(rows(memos));
  return encodeMessage(batch, { from: 0, to: batch.count }, layout);
}

/** A block of memory, like those of the channel. */
function blockOf(bytes: Buffer, ends: readonly number[]): RowBlock {
  return {
    bytes,
    startOf: (row) => ends[row - 1] ?? 0,
    endOf: (row) => ends[row]!,
    appendedAt: () => 0,
  };
}

describe('a message', () => {
  it('contains the rows of a batch unchanged, for any slices and cuts', () => {
    const memos = fc.array(fc.string({ maxLength: 300 }), { minLength: 1, maxLength: 40 });
    fc.assert(
      fc.property(
        memos,
        fc.integer({ min: 1, max: 9 }),
        fc.integer({ min: 1, max: 4000 }),
        (each, slice, max) => {
          const all = rows(each.map((memo) => memo.replaceAll('\0', '')));
          const batch = rowBatch(all, slice);
          const spans = cutBatch(batch, max);
          const read = spans.flatMap((span) => {
            const { headers, payload, bytes } = encodeMessage(batch, span, layout);
            const whole = Buffer.concat(payload);
            expect(whole.length).toBe(bytes);
            expect(bytes <= max || span.to - span.from === 1).toBe(true);
            const decoded = decodeMessage(headers, whole);
            if ('fault' in decoded) throw new Error(decoded.fault);
            expect(decoded.columns).toEqual(layout.columns);
            return [...decoded.ends].map((end, row) =>
              whole.subarray(row === 0 ? 0 : decoded.ends[row - 1]!, end),
            );
          });
          expect(read.map((row) => row.toString('hex'))).toEqual(
            all.map((row) => row.toString('hex')),
          );
        },
      ),
    );
  });

  it("contains a worker's rows in one view for each block, with the same cuts and id as row by row", () => {
    const all = rows(['a', 'bb', 'c'.repeat(99), 'd', 'e', 'ff', 'g']);
    const ends: number[] = [];
    for (const { length } of all) ends.push((ends.at(-1) ?? 0) + length);
    const block = blockOf(Buffer.concat(all), ends);
    const batch = new Batch([
      { slab: block, from: 1, to: 4, position: 1 },
      { slab: block, from: 4, to: 7, position: 4 },
    ]);
    const same = rowBatch(all.slice(1));
    for (const max of [1, all[0]!.length * 2, 300, 100_000]) {
      const spans = cutBatch(batch, max);
      expect(spans).toEqual(cutBatch(same, max));
      for (const span of spans) {
        const { payload, headers, bytes } = encodeMessage(batch, span, layout);
        const expected = encodeMessage(same, span, layout);
        expect({ headers, bytes }).toEqual({ headers: expected.headers, bytes: expected.bytes });
        expect(Buffer.concat(payload).equals(Buffer.concat(expected.payload))).toBe(true);
        expect(payload).toHaveLength(span.from < 3 && span.to > 3 ? 2 : 1);
      }
    }
  });

  it('is refused with a reason if its bytes or headers were changed', () => {
    const { headers, payload } = messageOf(['one', 'two']);
    const bytes = Buffer.concat(payload);
    const faultOf = (changed: Record<string, string>, of = bytes): string | undefined => {
      const decoded = decodeMessage({ ...headers, ...changed }, of);
      return 'fault' in decoded ? decoded.fault : undefined;
    };
    expect(faultOf({})).toBeUndefined();
    for (let at = 0; at < bytes.length; at += 7) {
      const flipped = Buffer.from(bytes);
      flipped[at]! ^= 1;
      expect(faultOf({}, flipped)).toBe('wrong checksum');
    }
    expect(faultOf({}, bytes.subarray(1))).toBeDefined();
    expect(faultOf({ 'ledger-format': '2' })).toBe('unknown format');
    expect(faultOf({ 'ledger-rows': '3' })).toBe('incomplete rows');
    for (const count of ['0', '-1', '1.5', 'many', '1e300']) {
      expect(faultOf({ 'ledger-rows': count })).toBe('the number of rows is missing or invalid');
    }
    const otherColumns = { 'ledger-columns': '[["uuid","uuid","uuid"]]' };
    expect(faultOf(otherColumns)).toBe('the columns do not match the fingerprint');
  });

  it('is taken or left by its headers, for any headers', () => {
    const { headers } = messageOf(['one']);
    expect(isForReader(headers, layout.columns)).toBe(true);
    const more = layoutOf({ ...TABLE, columns: { model: 'text', price: 'numeric' } });
    expect(isForReader(headers, more.columns), 'an older message').toBe(true);
    const fewer = layoutOf({ ...TABLE, columns: {} });
    expect(isForReader(headers, fewer.columns), 'a newer message').toBe(false);
    const other = layoutOf({ ...TABLE, columns: { model: 'jsonb' } });
    expect(isForReader(headers, other.columns), 'a column of another type').toBe(false);
    expect(isForReader({ ...headers, 'ledger-format': '2' }, layout.columns)).toBe(false);
    expect(isForReader({}, layout.columns), 'no message of a ledger').toBe(true);
    fc.assert(
      fc.property(fc.dictionary(fc.string(), fc.string()), fc.uint8Array(), (any, bytes) => {
        expect(typeof isForReader({ ...headers, ...any }, layout.columns)).toBe('boolean');
        expect(decodeMessage(any, Buffer.from(bytes))).toHaveProperty('fault');
      }),
    );
  });
});

describe('a fingerprint', () => {
  it("depends on the columns and their order, and not on the table's name", () => {
    const fingerprint = (more: Partial<LedgerTable>): string =>
      layoutOf({ ...TABLE, ...more }).fingerprint;
    expect(fingerprint({ name: 'other', table: 'others', schema: 's' })).toBe(layout.fingerprint);
    expect(fingerprint({ ids: 'text' })).not.toBe(layout.fingerprint);
    expect(fingerprint({ columns: { a: 'text', b: 'text' } })).not.toBe(
      fingerprint({ columns: { b: 'text', a: 'text' } }),
    );
    expect(layout.fingerprint).toMatch(/^[0-9a-f]{16}$/);
  });
});
