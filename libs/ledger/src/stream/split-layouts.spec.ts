import { describe, expect, it } from 'vitest';
import { Batch } from '../channel/batch.js';
import type { LedgerTable } from '../entry/ledger-definition.js';
import { createRowEncoder } from '../sink-kit/row-encoder.js';
import { createRowReader } from '../sink-kit/row-reader.js';
import { PLAIN_TABLE } from '../testing/ledger-under-test.js';
import { layoutOf } from './row-layout.js';
import { splitLayouts } from './split-layouts.js';

const MODEL: LedgerTable = { ...PLAIN_TABLE, columns: { model: 'text' } };
const encode = createRowEncoder(MODEL);

/** Rows of one block. */
function block(rows: readonly Buffer[], absent?: ReadonlySet<string>) {
  const ends: number[] = [];
  for (const { length } of rows) ends.push((ends.at(-1) ?? 0) + length);
  const slab = {
    bytes: Buffer.concat(rows),
    startOf: (row: number) => ends[row - 1] ?? 0,
    endOf: (row: number) => ends[row]!,
    appendedAt: () => 0,
    ...(absent && { absent }),
  };
  return { slab, from: 0, to: rows.length, position: 0 };
}

describe('rows that are older than a column', () => {
  it('are published without it, next to rows that have it', () => {
    const whole = [encode({ userId: 1, model: 'm' })];
    const old = [encode({ userId: 2 }), encode({ userId: 3, memo: 'old' })];
    const batch = new Batch([block(whole), block(old, new Set(['model']))]);
    const parts = splitLayouts(batch, layoutOf(MODEL));
    expect(parts.map(({ from, batch: { count } }) => [from, count])).toEqual([
      [0, 1],
      [1, 2],
    ]);
    expect(parts[0]!.layout).toEqual(layoutOf(MODEL));
    expect(parts[1]!.layout.fingerprint).toBe(layoutOf(PLAIN_TABLE).fingerprint);
    const reader = createRowReader(PLAIN_TABLE);
    const entries = [0, 1].map((index) => reader.entry(parts[1]!.batch.row(index)));
    expect(entries).toMatchObject([{ userId: '2' }, { userId: '3', memo: 'old' }]);
    expect(Buffer.concat(parts[1]!.batch.slices())).toHaveLength(parts[1]!.batch.bytes);
  });

  it('do not change a batch in which every row has all columns', () => {
    const batch = new Batch([block([encode({ userId: 1 })])]);
    const parts = splitLayouts(batch, layoutOf(MODEL));
    expect(parts).toHaveLength(1);
    expect(parts[0]!.batch).toBe(batch);
  });
});
