import { describe, expect, it } from 'vitest';
import { HeldDocument, usageAtEnd } from './held-document.js';

const usage = {
  prompt_tokens: 7,
  completion_tokens_details: { reasoning_tokens: 2 },
  total_tokens: 9,
};
const answer = JSON.stringify({
  choices: [{ message: { content: 'x'.repeat(1_000_000) } }],
  usage,
});

function held(room: number, pieceBytes: number): string {
  let left = room;
  const document = new HeldDocument((bytes) => (left -= bytes) >= 0);
  const bytes = Buffer.from(answer);
  for (let at = 0; at < bytes.length; at += pieceBytes) {
    document.add(bytes.subarray(at, at + pieceBytes));
  }
  return document.take();
}

describe('HeldDocument', () => {
  it('keeps all of an answer that there is room for', () => {
    expect(held(2_000_000, 16_384)).toBe(answer);
  });

  it.each([16_384, 1_000, 2_000_000])(
    'keeps the usage of one that there is no room for (pieces of %i bytes)',
    (bytes) => {
      expect(JSON.parse(held(500_000, bytes))).toEqual({ usage });
      expect(JSON.parse(held(0, bytes))).toEqual({ usage });
    },
  );
});

describe('usageAtEnd', () => {
  it.each([
    ['of two the last', '{"usage":{"a":1}},"usage": {"a":{"b":2}}}', '{"usage":{"a":{"b":2}}}'],
    ['with what follows', 'xx,"usage":{"a":1},"id":"}"}', '{"usage":{"a":1}}'],
    ['none', '{"choices":[]}', ''],
    ['null', '"usage":null}', ''],
    ['not in full', 'x,"usage":{"a":1', ''],
    ['with a bracket in a text', '"usage":{"a":"}","b":1}}', '{"usage":{"a":"}","b":1}}'],
  ])('finds %s', (_, text, found) => {
    expect(usageAtEnd(text)).toBe(found);
  });
});
