import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { dataOf, EventSplitter } from './server-sent-events.js';

function eventsIn(text: string, cuts: readonly number[]): Buffer[] {
  const bytes = Buffer.from(text);
  const splitter = new EventSplitter();
  const ends = [...cuts].sort((a, b) => a - b).filter((cut) => cut <= bytes.length);
  let start = 0;
  const events = [...ends, bytes.length].flatMap((end) => {
    const piece = bytes.subarray(start, end);
    start = end;
    return splitter.push(piece);
  });
  return [...events, splitter.end()].filter((event) => event !== undefined);
}

describe('EventSplitter', () => {
  it('finds the same events wherever the stream is cut, and passes on every byte', () => {
    const event = fc.string({ unit: 'grapheme', maxLength: 8 }).filter((s) => !/[\r\n]/.test(s));
    const lineEnd = fc.constantFrom('\n', '\r\n', '\r');
    const cuts = fc.array(fc.nat(120), { maxLength: 40 });
    fc.assert(
      fc.property(fc.array(event, { maxLength: 5 }), lineEnd, cuts, (said, end, at) => {
        const text = said.map((each) => `data: ${each}${end}${end}`).join('');
        const events = eventsIn(text, at);
        expect(Buffer.concat(events).toString()).toBe(text);
        expect(events.map(dataOf)).toEqual(said);
      }),
    );
  });

  it('finds the same events by pieces as at once where line ends are mixed', () => {
    const sign = fc.constantFrom('\n', '\r', '\r\n', '\n\n', 'a', 'data: b');
    const cuts = fc.array(fc.nat(60), { maxLength: 20 });
    fc.assert(
      fc.property(fc.array(sign, { maxLength: 20 }), cuts, (signs, at) => {
        const text = signs.join('');
        expect(eventsIn(text, at).map(String)).toEqual(eventsIn(text, []).map(String));
      }),
    );
  });

  it('is right at each byte of an event with characters of four bytes', () => {
    const text = 'data: {"a":"𝒳👩"}\r\n\r\ndata: [DONE]\r\n\r\n';
    for (let cut = 0; cut <= Buffer.byteLength(text); cut += 1) {
      expect(eventsIn(text, [cut]).map(dataOf)).toEqual(['{"a":"𝒳👩"}', '[DONE]']);
    }
  });

  it('gives what follows the last empty line, too', () => {
    const events = eventsIn('data: a\n\ndata: b', []);
    expect(events.map(dataOf)).toEqual(['a', 'b']);
  });

  it('joins the lines of one event, and finds no data in a comment', () => {
    expect(dataOf(Buffer.from('event: x\ndata: {\ndata:1}\n\n'))).toBe('{\n1}');
    expect(dataOf(Buffer.from(': keep-alive\n\n'))).toBe('');
  });

  it('skips the byte order mark that a stream may begin with', () => {
    expect(eventsIn('\ufeffdata: a\n\ndata: b\n\n', [2]).map(dataOf)).toEqual(['a', 'b']);
  });

  it('gives up on an event that never ends', () => {
    const splitter = new EventSplitter();
    const piece = Buffer.alloc(1024 * 1024, 'x');
    for (let i = 0; i < 8; i += 1) splitter.push(piece);
    expect(() => splitter.push(piece)).toThrow('an event above 8 MiB');
  });
});
