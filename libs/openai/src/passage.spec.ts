import { afterEach, describe, expect, it, vi } from 'vitest';
import { AnswerReader } from './answer-reader.js';
import { CallMeter } from './call-meter.js';
import { endpoints } from './endpoints.js';
import type { Fields } from './fields.js';
import { Passage } from './passage.js';

const clock = { now: 1e9 };

/** Each part of an answer takes it a millisecond. */
class DearMeter extends CallMeter {
  override saw(part: Fields): void {
    clock.now += 1;
    super.saw(part);
  }
}

/** An upstream that is never waited for. */
async function* fastAnswer(parts: number): AsyncGenerator<Uint8Array> {
  const event = 'data: {"choices":[{"index":0,"delta":{"content":"Hi"}}]}\n\n';
  for (let part = 0; part < parts; part += 1) yield Buffer.from(event);
  yield Buffer.from('data: {"choices":[],"usage":{"prompt_tokens":7,"completion_tokens":3}}\n\n');
}

afterEach(() => {
  vi.restoreAllMocks();
});

describe('Passage', () => {
  it('reads no more than some milliseconds in a turn, of however many answers', async () => {
    vi.spyOn(performance, 'now').mockImplementation(() => clock.now);
    const turns: number[] = [];
    let last = clock.now;
    const endTurn = (): void => {
      turns.push(clock.now - last);
      last = clock.now;
      timer = setImmediate(endTurn);
    };
    let timer = setImmediate(endTurn);
    const used = Array.from({ length: 20 }, async () => {
      const meter = new DearMeter(endpoints.chat, { model: 'gpt-4o' });
      meter.answered(200);
      const options = { isStream: true, hidesUsage: false, isMetered: true, hold: () => true };
      const passage = new Passage(new AnswerReader(meter, options), meter, () => undefined);
      passage.clientLeft(() => undefined);
      await passage.start(fastAnswer(30));
      return meter.settled;
    });
    for (const each of await Promise.all(used)) {
      expect(each).toMatchObject({ promptTokens: 7, completionTokens: 3 });
    }
    clearImmediate(timer);
    // The part that ends a turn is the third.
    expect(Math.max(...turns)).toBe(3);
  });
});
