import { describe, expect, it } from 'vitest';
import { faultOfShape } from './json-shape.js';

const faultOf = (text: string): string | undefined => faultOfShape(Buffer.from(text));

describe('faultOfShape', () => {
  it.each([
    ['objects', `[${'{},'.repeat(100_001)}0]`, /objects/],
    ['arrays', `[${'[],'.repeat(100_001)}0]`, /objects/],
    ['fields', `{${'"":0,'.repeat(100_001)}"a":0}`, /objects/],
    ['values', `[${'0,'.repeat(500_001)}0]`, /values/],
    ['levels of arrays', '['.repeat(300), /levels/],
    ['levels of objects', '{"a":'.repeat(300), /levels/],
  ])('finds too many %s before they are parsed', (_, text, fault) => {
    expect(faultOf(text)).toMatch(fault);
  });

  it.each([
    ['a text of signs', JSON.stringify('{[,:'.repeat(500_000))],
    ['a text of quotes and backslashes', JSON.stringify('"\\{'.repeat(200_000))],
    ['a text that ends with backslashes', `["\\\\","${'{'.repeat(200_000)}"]`],
    ['a text that ends in an escape', `"${'{'.repeat(200_000)}\\`],
    ['letters of several bytes', JSON.stringify(['ü👩'.repeat(200_000)])],
    ['tokens of embeddings', JSON.stringify({ input: [Array(300_000).fill(12_345)] })],
    ['many short messages', JSON.stringify(Array(20_000).fill({ role: 'user', content: 'Hi' }))],
    ['levels one after the other', `[${'[[[[]]]],'.repeat(20_000)}0]`],
    ['nothing', ''],
  ])('takes %s', (_, text) => {
    expect(faultOf(text)).toBeUndefined();
  });

  it('counts levels behind texts of any signs', () => {
    const texts = ['\\', '"', '\\"', '\\\\"{[', 'a', '', '{{{', '\n\t"'];
    for (let n = 0; n < 200; n += 1) {
      const parts = Array.from(
        { length: 40 },
        (_, i) => texts[(n * 7 + i * (n + 3)) % texts.length],
      );
      const levels = 250 + (n % 14);
      // Each by itself, and all of them as one long text.
      const text = `[${JSON.stringify([...parts, parts.join('x')])},${'['.repeat(levels)}`;
      expect(faultOf(text) !== undefined, String(n)).toBe(levels + 1 > 256);
    }
  });
});
