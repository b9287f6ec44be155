import * as fc from 'fast-check';
import { describe, expect, it } from 'vitest';
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

describe('a message', () => {
  it('has the rows of a batch as they are, whatever its slices and cuts', () => {
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

  it('has the same id for the same rows, and another one for others that begin alike', () => {
    const all = rows(['a', 'b', 'c']);
    const id = (...some: Buffer[]): string =>
      encodeMessage(rowBatch(some), { from: 0, to: some.length }, layout).id;
    expect(id(all[0]!, all[1]!)).toBe(id(all[0]!, all[1]!));
    expect(id(all[0]!, all[1]!)).not.toBe(id(all[0]!, all[2]!));
    expect(id(all[0]!)).toMatch(/^[0-9a-f-]{36}-1-[0-9a-f]{8}$/);
  });

  it('is refused with a reason where its bytes or headers are not what was published', () => {
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
      expect(faultOf({}, flipped)).toBe('its bytes are not those that were published');
    }
    expect(faultOf({}, bytes.subarray(1))).toBeDefined();
    expect(faultOf({ 'ledger-format': '2' })).toBe('its format is not known');
    expect(faultOf({ 'ledger-rows': '3' })).toBe('it holds no whole rows');
    for (const count of ['0', '-1', '1.5', 'many', '1e300']) {
      expect(faultOf({ 'ledger-rows': count })).toBe('it does not say how many rows it has');
    }
    const otherColumns = { 'ledger-columns': '[["uuid","uuid","uuid"]]' };
    expect(faultOf(otherColumns)).toBe('its columns are not those of its fingerprint');
  });

  it('is taken or left by its headers, whatever they are', () => {
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
  it('is of the columns in their order, and not of the name of the table', () => {
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
