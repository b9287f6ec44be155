import * as fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { NOT_FLAT, writeFlatJson } from './flat-json.js';

const bytes = Buffer.alloc(8192);

/** The text that was written, or `NOT_FLAT`. */
function written(object: object, target = bytes): string | number {
  const end = writeFlatJson(object, target);
  return end === NOT_FLAT ? NOT_FLAT : target.toString('latin1', 0, end);
}

describe('writeFlatJson', () => {
  it('writes what JSON.stringify would, or says that it is not for it', () => {
    const value = fc.oneof(fc.jsonValue(), fc.constant(undefined), fc.double(), fc.integer());
    fc.assert(
      fc.property(fc.dictionary(fc.string({ unit: 'binary' }), value), (object) => {
        const text = written(object);
        if (text !== NOT_FLAT) expect(text).toBe(JSON.stringify(object));
      }),
      { numRuns: 5000 },
    );
  });

  it('writes every flat object', () => {
    const text = fc.stringMatching(/^[ !#-[\]-~]*$/);
    const value = fc.oneof(
      text,
      fc.integer(),
      fc.double({ noNaN: true, noDefaultInfinity: true }),
      fc.constantFrom(true, false, null, undefined, 0, -0, 9, 10, 2 ** 31 - 1, 2 ** 31, 1e21),
    );
    fc.assert(
      fc.property(fc.dictionary(text, value), (object) => {
        expect(written(object)).toBe(JSON.stringify(object));
      }),
      { numRuns: 5000 },
    );
  });

  it.each<[string, object]>([
    ['a quote', { a: '"' }],
    ['a backslash', { a: '\\' }],
    ['a control character', { a: '\n' }],
    ['U+007F', { a: '\u007f' }],
    ['a letter beyond ASCII', { ä: 1 }],
    ['a number that is not finite', { a: Number.NaN }],
    ['a bigint', { a: 1n }],
    ['a function', { a: () => 1 }],
    ['an array', { a: [1] }],
    ['an object', { a: { b: 1 } }],
    ['a Date', { a: new Date(0) }],
    ['toJSON', { toJSON: () => ({ b: 1 }) }],
    ['an inherited property', Object.create({ a: 1 }) as object],
  ])('leaves %s to JSON.stringify', (_, object) => {
    expect(written(object)).toBe(NOT_FLAT);
  });

  it('leaves what does not fit, whichever byte is the first too many', () => {
    const object = { text: 'abc', number: -12.5, small: 1234, yes: true, no: false, none: null };
    const { length } = JSON.stringify(object);
    for (let size = 0; size < length; size++) {
      expect(written(object, Buffer.alloc(size))).toBe(NOT_FLAT);
    }
    expect(written(object, Buffer.alloc(length))).toBe(JSON.stringify(object));
  });

  it('keeps the order of JSON.stringify and leaves symbols and hidden properties out', () => {
    const object = { b: 1, 2: 2, [Symbol('s')]: 3 };
    Object.defineProperty(object, 'hidden', { value: 4 });
    expect(written(object)).toBe('{"2":2,"b":1}');
  });

  it('leaves all objects while Object.prototype has an enumerable property', () => {
    Object.defineProperty(Object.prototype, 'added', {
      value: 1,
      enumerable: true,
      configurable: true,
    });
    const text = written({ a: 1 });
    Reflect.deleteProperty(Object.prototype, 'added');
    expect(text).toBe(NOT_FLAT);
  });
});
