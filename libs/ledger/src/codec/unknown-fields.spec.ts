import * as fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { NO_NAMES, UnknownFields } from './unknown-fields.js';

const KNOWN = ['userId', 'promptTokens', 'memo', 'model'];

class Entry {
  readonly userId = 1;
  readonly #secret = 2;
  static readonly other = 3;
  modle = 'm';
  get computed(): number {
    return this.#secret;
  }
}

describe('UnknownFields', () => {
  const unknown = new UnknownFields(KNOWN);

  it.each<[string, object, readonly string[]]>([
    ['none where all are known', { userId: 1, memo: 'm' }, []],
    ['none of an entry without properties', {}, []],
    ['one that is misspelt', { userId: 1, promptTokesn: 5 }, ['promptTokesn']],
    [
      'those before, between and behind',
      { a: 1, userId: 1, b: 2, memo: '', c: 3 },
      ['a', 'b', 'c'],
    ],
    ['null, which a caller has written', { userId: 1, gone: null }, ['gone']],
    ['none whose value is undefined', { userId: 1, gone: undefined }, []],
    ['fields of a class, but no accessor of its own', new Entry(), ['modle']],
    ['nothing inherited', Object.assign(Object.create({ tokens: 1 }) as object, { userId: 1 }), []],
    ['nothing that is hidden', Object.defineProperty({ userId: 1 }, 'x', { value: 1 }), []],
    ['no symbols', { userId: 1, [Symbol('trace')]: 1 }, []],
    ['names of things that every object has', { toString: 1, __proto__: null }, ['toString']],
    ['what a proxy shows', new Proxy({ userId: 1, extra: 2 }, {}), ['extra']],
  ])('finds %s', (_, entry, names) => {
    expect(unknown.in(entry as Record<string, unknown>)).toEqual(names);
  });

  it('answers for an entry that cannot be listed, or whose getter throws', () => {
    const fail = (): never => {
      throw new Error('trap');
    };
    expect(unknown.in(new Proxy({}, { ownKeys: fail }))).toBe(NO_NAMES);
    const entry = Object.defineProperty({ userId: 1 }, 'x', { get: fail, enumerable: true });
    expect(unknown.in(entry)).toEqual([]);
  });

  it('gives the same answer each time, in any order', () => {
    const key = fc.constantFrom(...KNOWN, 'a', 'b', 'userid', '1');
    fc.assert(
      fc.property(fc.array(fc.uniqueArray(key)), (shapes) => {
        for (const keys of shapes) {
          const entry = Object.fromEntries(keys.map((name) => [name, 1]));
          const expected = Object.keys(entry).filter((name) => !KNOWN.includes(name));
          expect(unknown.in(entry)).toEqual(expected);
        }
      }),
      { numRuns: 2000 },
    );
  });

  it('bounds the properties it checks and the shapes it keeps', () => {
    const wide = Object.fromEntries(Array.from({ length: 5000 }, (_, i) => [`x${i}`, 1]));
    expect(unknown.in(wide)).toHaveLength(16);
    const known = Array.from({ length: 8 }, (_, i) => `f${i}`);
    const many = new UnknownFields(known);
    const shape = fc.shuffledSubarray(known, { minLength: 8 });
    for (const keys of fc.sample(shape, 20_000)) {
      expect(many.in({ ...Object.fromEntries(keys.map((name) => [name, 1])), x: 1 })).toEqual([
        'x',
      ]);
    }
  });
});
