import { describe, expect, it } from 'vitest';
import { collectBody } from './collected-body.js';

function collected(declaredBytes: number, pieces: readonly Buffer[]): Buffer {
  const body = collectBody(declaredBytes);
  for (const piece of pieces) body.add(piece);
  return body.take();
}

describe('collectBody', () => {
  const pieces = [Buffer.alloc(50_000, 'a'), Buffer.alloc(50_000, 'b'), Buffer.from('c')];
  const whole = Buffer.concat(pieces);

  it.each([
    ['a large body of a known length', whole.length],
    ['a body of an unknown length', 0],
  ])('puts %s together, in a buffer of its own', (_, declaredBytes) => {
    const body = collected(declaredBytes, pieces);
    expect(body.equals(whole)).toBe(true);
    expect(body.buffer.byteLength).toBe(whole.length);
  });

  it('gives what came of a body that is shorter than it said', () => {
    expect(collected(100_000, [Buffer.from('ab')]).toString()).toBe('ab');
    expect(collected(0, []).length).toBe(0);
  });
});
