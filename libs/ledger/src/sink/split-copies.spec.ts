import { expect, it } from 'vitest';
import { rowBatch } from '../sink-kit/sink-trial.js';
import { splitCopies } from './split-copies.js';

/** A row of text fields. */
function row(...fields: readonly (string | null)[]): Buffer {
  const parts = fields.flatMap((field) => {
    const length = Buffer.alloc(4);
    length.writeInt32BE(field === null ? -1 : field.length);
    return field === null ? [length] : [length, Buffer.from(field)];
  });
  const count = Buffer.alloc(2);
  count.writeInt16BE(fields.length);
  return Buffer.concat([count, ...parts]);
}

it('splits rows by the fields of their key alone, in order', () => {
  const batch = rowBatch([row('a', 'x', '1'), row('b', 'x', '2'), row('a', 'y', '3')]);
  const all = [0, 1, 2];
  expect(splitCopies(batch, all, [0])).toEqual({ firsts: [0, 1], copies: [2] });
  expect(splitCopies(batch, all, [1])).toEqual({ firsts: [0, 2], copies: [1] });
  expect(splitCopies(batch, all, [0, 1])).toEqual({ firsts: [0, 1, 2], copies: [] });
  expect(splitCopies(batch, [2], [0])).toEqual({ firsts: [2], copies: [] });
});

it('distinguishes keys whose concatenated bytes are equal', () => {
  const batch = rowBatch([row('a', 'bc'), row('ab', 'c'), row(null, 'abc'), row('', 'abc')]);
  const { copies } = splitCopies(batch, [0, 1, 2, 3], [0, 1]);
  expect(copies).toEqual([]);
});
