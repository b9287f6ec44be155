import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { dataOf, eventsOf } from './server-sent-events.js';

async function* inPieces(bytes: Buffer, cuts: readonly number[]): AsyncGenerator<Uint8Array> {
  const ends = [...cuts].sort((a, b) => a - b).filter((cut) => cut <= bytes.length);
  let start = 0;
  for (const end of [...ends, bytes.length]) {
    yield bytes.subarray(start, end);
    start = end;
  }
}

async function eventsIn(text: string, cuts: readonly number[]): Promise<Buffer[]> {
  const events: Buffer[] = [];
  for await (const some of eventsOf(inPieces(Buffer.from(text), cuts))) events.push(...some);
  return events;
}

describe('eventsOf', () => {
  it('finds the same events wherever the stream is cut, and passes on every byte', async () => {
    const event = fc.string({ unit: 'grapheme', maxLength: 8 }).filter((s) => !/[\r\n]/.test(s));
    const lineEnd = fc.constantFrom('\n', '\r\n', '\r');
    const cuts = fc.array(fc.nat(120), { maxLength: 40 });
    await fc.assert(
      fc.asyncProperty(fc.array(event, { maxLength: 5 }), lineEnd, cuts, async (said, end, at) => {
        const text = said.map((each) => `data: ${each}${end}${end}`).join('');
        const events = await eventsIn(text, at);
        expect(Buffer.concat(events).toString()).toBe(text);
        expect(events.map(dataOf)).toEqual(said);
      }),
    );
  });

  it('is right at each byte of an event with characters of four bytes', async () => {
    const text = 'data: {"a":"𝒳👩"}\r\n\r\ndata: [DONE]\r\n\r\n';
    for (let cut = 0; cut <= Buffer.byteLength(text); cut += 1) {
      expect((await eventsIn(text, [cut])).map(dataOf)).toEqual(['{"a":"𝒳👩"}', '[DONE]']);
    }
  });

  it('gives what follows the last empty line, too', async () => {
    const events = await eventsIn('data: a\n\ndata: b', []);
    expect(events.map(dataOf)).toEqual(['a', 'b']);
  });

  it('joins the lines of one event, and finds no data in a comment', () => {
    expect(dataOf(Buffer.from('event: x\ndata: {\ndata:1}\n\n'))).toBe('{\n1}');
    expect(dataOf(Buffer.from(': keep-alive\n\n'))).toBe('');
  });

  it('gives up on an event that never ends', async () => {
    const endless = (async function* () {
      for (;;) yield Buffer.alloc(1024 * 1024, 'x');
    })();
    await expect(eventsOf(endless).next()).rejects.toThrow('an event above 8 MiB');
  });
});
