import * as fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { ABSENT, BoundedJson, CYCLE_OR_BIGINT, TOO_LONG } from './bounded-json.js';

const LIMIT = 8192;
const json = new BoundedJson(LIMIT);

/** The written text, or the code of the failure. */
function written(value: unknown, by = json): string | number {
  const count = by.write(value);
  return count < 0 ? count : by.target.bytes.toString('utf8', 0, count);
}

/** The same for JSON.stringify. */
function expected(value: unknown, limit = LIMIT): string | number {
  let text: string | undefined;
  try {
    text = JSON.stringify(value);
  } catch {
    return CYCLE_OR_BIGINT;
  }
  if (text === undefined) return ABSENT;
  return Buffer.byteLength(text) > limit ? TOO_LONG : text;
}

class Price {
  readonly amount = 12.5;
  constructor(readonly currency: string) {}
  get double(): number {
    return this.amount * 2;
  }
}
class Shown extends Price {
  toJSON(key: string): unknown {
    return { key, shown: `${this.amount} ${this.currency}` };
  }
}
const inherits = Object.assign(Object.create({ inherited: 1 }) as object, { own: 2 });
const cyclic: Record<string, unknown> = { name: 'cyclic' };
cyclic['list'] = [{ back: cyclic }];
const sparse: unknown[] = [];
sparse[5] = 'five';
const shared = { twice: true };

/** Values that JSON.stringify treats specially. */
const ODD: readonly unknown[] = [
  ...[new Date(0), new Date(NaN), new Map([[1, 2]]), new Set([1]), /x/g, new Error('e')],
  ...([Object(5), Object('text'), Object(true), Object(Symbol('s')), Object(1n)] as unknown[]),
  ...[new Price('EUR'), new Shown('EUR'), inherits, sparse, [undefined, () => 1, Symbol('s')]],
  ...[
    Buffer.from('bytes'),
    new Uint8Array(3),
    new Float64Array([1.5, NaN]),
    new DataView(new ArrayBuffer(99_999)),
  ],
  ...[{ toJSON: () => undefined }, { toJSON: () => 5 }, { toJSON: (key: string) => ({ key }) }],
  ...[
    { toJSON: () => () => 1 },
    { toJSON: () => 1n },
    { toJSON: 'none' },
    { toJSON: () => new Date(0) },
  ],
  ...[
    Object.assign(() => 1, { toJSON: () => 'function' }),
    () => 1,
    Symbol('s'),
    undefined,
    1n,
    cyclic,
  ],
  ...[[shared, shared, { shared }], new Proxy({ a: 1, b: [2] }, {}), new Proxy([1, 2], {})],
  ...[{ b: 1, 2: 2, [Symbol('s')]: 3 }, Object.create(null), { __proto__: null, a: 1 }],
  ...[
    -0,
    5e-324,
    1e21,
    -1e-7,
    2 ** 31,
    2 ** 31 - 1,
    2 ** 53,
    Infinity,
    '\u2028',
    '\u007f"\\\n',
    'ü😀',
  ],
  ...[
    Object.defineProperty({ seen: 1 }, 'hidden', { value: 4 }),
    JSON.parse('{"__proto__":{"a":1}}'),
  ],
];

describe('BoundedJson', () => {
  it.each(ODD.map((value) => [value]))('writes %o like JSON.stringify', (value) => {
    for (const each of [value, { key: value, next: 1 }, [value, value], { a: { b: [value] } }]) {
      expect(written(each)).toBe(expected(each));
    }
  });

  it('writes any other value like JSON.stringify, up to the limit', () => {
    const text = fc.string({ unit: 'grapheme' });
    const { tree } = fc.letrec((tie) => ({
      leaf: fc.oneof(
        text,
        fc.double(),
        fc.integer(),
        fc.constantFrom(...ODD, null, true, false, undefined),
      ),
      tree: fc.oneof(
        { maxDepth: 4 },
        tie('leaf'),
        fc.array(tie('tree'), { maxLength: 5 }),
        fc.dictionary(text, tie('tree'), { maxKeys: 5 }),
      ),
    }));
    fc.assert(
      fc.property(tree, (value) => {
        const [result, wanted] = [written(value), expected(value)];
        // A value that is too long may also have a cycle or a bigint: the first one found counts.
        if (result === TOO_LONG && wanted === CYCLE_OR_BIGINT) return;
        expect(result).toBe(wanted);
      }),
      { numRuns: 2000 },
    );
    fc.assert(
      fc.property(fc.jsonValue(), fc.nat({ max: 200 }), (value, limit) => {
        expect(written(value, new BoundedJson(limit))).toBe(expected(value, limit));
      }),
      { numRuns: 2000 },
    );
  });

  it('writes up to the last byte of the limit, at any element', () => {
    const value = { text: 'abc', list: [-12.5, 1234, true, null], more: { ä: '"', no: false } };
    const { length } = Buffer.from(JSON.stringify(value));
    for (let limit = 0; limit < length; limit++) {
      expect(written(value, new BoundedJson(limit))).toBe(TOO_LONG);
    }
    expect(written(value, new BoundedJson(length))).toBe(JSON.stringify(value));
  });

  it('puts U+FFFD where jsonb would refuse the text', () => {
    const value = { 'k\0': ['v\0', { '\ud83d': '\udc00x' }], ok: '😀' };
    expect(written(value)).toBe('{"k\ufffd":["v\ufffd",{"\ufffd":"\ufffdx"}],"ok":"😀"}');
  });

  it('writes raw JSON if the runtime supports it', () => {
    const { rawJSON } = JSON as { rawJSON?: (text: string) => unknown };
    const value = [rawJSON?.('1e1000') ?? 1, { raw: rawJSON?.('"x"') }];
    expect(written(value)).toBe(JSON.stringify(value));
  });

  it('reads each property once', () => {
    let reads = 0;
    const value = { a: 'ü', b: { c: [1] } };
    Object.defineProperty(value, 'd', { get: () => ++reads, enumerable: true });
    expect(written(value)).toBe('{"a":"ü","b":{"c":[1]},"d":1}');
    expect(reads).toBe(1);
  });

  it('leaves out properties added to Object.prototype', () => {
    const added = { value: 1, enumerable: true, configurable: true };
    Object.defineProperty(Object.prototype, 'added', added);
    const text = written({ a: { b: 1 } });
    Reflect.deleteProperty(Object.prototype, 'added');
    expect(text).toBe('{"a":{"b":1}}');
  });

  const MILLION = 1_000_000;
  const nest = (depth: number, around: (inner: unknown) => unknown): unknown => {
    let value: unknown = 1;
    for (let i = 0; i < depth; i++) value = around(value);
    return value;
  };
  const laughs = nest(60, (inner) => [inner, inner, inner, inner]);
  const endless = new Proxy([], {
    get: (_, key) => (key === 'length' ? 2 ** 32 - 1 : key === 'toJSON' ? undefined : 0),
  });

  it.each<[string, unknown]>([
    ['an array of a million numbers', new Array(MILLION).fill(7)],
    ['a million arrays', Array.from({ length: MILLION }, () => [])],
    ['an array without elements, of the largest length', new Array(2 ** 32 - 1)],
    ['an array that answers without end', endless],
    ['a text of 100 MB', { text: 'x'.repeat(100 * MILLION) }],
    [
      'a text of 100 MB that no one has put together yet',
      { a: `${'x'.repeat(5e7)}${'y'.repeat(5e7)}` },
    ],
    ['a key of 100 MB', { ['k'.repeat(100 * MILLION)]: 1 }],
    ['a million levels of objects', nest(MILLION, (inner) => ({ inner }))],
    ['a million levels of arrays', nest(MILLION, (inner) => [inner])],
    ['few objects, named again and again', laughs],
    ['a Buffer of 100 MB', { bytes: Buffer.alloc(100 * MILLION) }],
    ['a million floats', new Float64Array(MILLION)],
    ['8,000 objects of one key', Array.from({ length: 8000 }, (_, i) => ({ i }))],
    ['escapes that make a short text long', { text: '\u0001'.repeat(8000) }],
  ])('gives %s up within 2 ms', (_, value) => {
    const times: number[] = [];
    for (let i = 0; i < 5; i++) {
      const startedAt = performance.now();
      expect(written(value)).toBe(TOO_LONG);
      times.push(performance.now() - startedAt);
    }
    expect(Math.min(...times)).toBeLessThan(2);
  });

  it('takes no longer for an object of many keys than the engine takes to list them', () => {
    const value = Object.fromEntries(Array.from({ length: 300_000 }, (_, i) => [`key ${i}`, i]));
    const timeOf = (work: () => void): number => {
      const times = Array.from({ length: 5 }, () => {
        const startedAt = performance.now();
        work();
        return performance.now() - startedAt;
      });
      return Math.min(...times);
    };
    const listed = timeOf(() => {
      for (const key in value) if (key !== '') break;
    });
    expect(timeOf(() => expect(written(value)).toBe(TOO_LONG))).toBeLessThan(2 * listed + 2);
  });
});
