import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { withMember, withoutMember } from './json-members.js';

describe('withMember', () => {
  it.each([
    ['{}', '{"a":1}'],
    [' { } ', ' {"a":1 } '],
    ['{"b": 1.0, "c":[{"a":2}]}', '{"a":1,"b": 1.0, "c":[{"a":2}]}'],
    ['{"b":"{\\"a\\":9","a" : {"x":[1]} ,"c":1e3}', '{"b":"{\\"a\\":9","a" : 1 ,"c":1e3}'],
    ['{"\\u0061":null}', '{"\\u0061":1}'],
    ['{"a":2,"a":3}', '{"a":2,"a":1}'],
  ])('sets a member of %s and leaves the rest', (text, expected) => {
    expect(withMember(text, 'a', '1')).toBe(expected);
  });

  it('makes what a reader of the object would make, and keeps all others as they were', () => {
    const object = fc.dictionary(fc.string(), fc.jsonValue());
    fc.assert(
      fc.property(object, fc.nat(3), (given, indent) => {
        const text = JSON.stringify(given, null, indent);
        const made = JSON.parse(withMember(text, 'stream_options', '{"x":1}')) as object;
        expect(made).toEqual({ ...(JSON.parse(text) as object), stream_options: { x: 1 } });
      }),
    );
  });
});

describe('withoutMember', () => {
  it.each([
    ['{"usage":null}', '{}'],
    ['{"usage":null,"b":1}', '{"b":1}'],
    ['{"b":1,"usage":null}', '{"b":1}'],
    ['{"b":1, "usage" : null , "c":2}', '{"b":1, "c":2}'],
    ['{"b":{"usage":null},"c":"\\"usage\\":null"}', '{"b":{"usage":null},"c":"\\"usage\\":null"}'],
    ['{"usage":null,"usage":null,"b":1,"usage":null}', '{"b":1}'],
  ])('takes it out of %s', (text, expected) => {
    expect(withoutMember(text, 'usage')).toBe(expected);
  });

  it('makes what a reader of the object would make', () => {
    const object = fc.dictionary(fc.string(), fc.jsonValue());
    fc.assert(
      fc.property(object, fc.jsonValue(), fc.nat(2), (given, usage, indent) => {
        const text = JSON.stringify({ ...given, usage, z: 1 }, null, indent);
        const rest = JSON.parse(text) as Record<string, unknown>;
        delete rest['usage'];
        expect(JSON.parse(withoutMember(text, 'usage'))).toEqual(rest);
      }),
    );
  });
});
