import { describe, expect, it } from 'vitest';
import { LargeBodies } from './large-bodies.js';
import { parseBody } from './parse-body.js';

const bodies = new LargeBodies();
const PAD = ' '.repeat(70_000);

/** Status by the two ways of a body: that of small ones, and that of large ones. */
async function statusesOf(text: string): Promise<[number, number]> {
  const { fault } = parseBody(Buffer.from(text));
  const large = Buffer.concat([Buffer.from(text + PAD)]);
  const status = await bodies.read(large, 'alice').then(
    () => 200,
    (error: { status: number }) => error.status,
  );
  return [fault?.status ?? 200, status];
}

const nested = (levels: number): string => '['.repeat(levels) + ']'.repeat(levels);

describe('A body, small or large', () => {
  it.each([
    ['a field __proto__', '{"a":[{"b":1},{"__proto__":{"x":1}}]}', 400],
    ['one that an escape hides', '{"\\u005f_proto__":1}', 400],
    ['a prototype of a constructor', '{"a":{"constructor":{"prototype":{}}}}', 400],
    ['more than 256 levels', `{"a":${nested(256)}}`, 413],
    ['levels without an end', '['.repeat(60_000), 413],
    ['no JSON', '{"a":', 400],
    ['nothing', '', 400],
  ])('is refused with %s', async (_, text, status) => {
    expect(await statusesOf(text)).toEqual([status, status]);
  });

  it.each([
    ['the names of prototypes in a text', '{"a":"{\\"__proto__\\":1} prototype"}'],
    ['a parameter of a tool that is named prototype', '{"properties":{"prototype":{}}}'],
    ['a constructor that is no object', '{"constructor":"prototype"}'],
    ['256 levels', `{"a":${nested(255)}}`],
    ['a byte order mark', '\ufeff{"a":1}'],
  ])('is taken with %s', async (_, text) => {
    expect(await statusesOf(text)).toEqual([200, 200]);
  });
});
