import { describe, expect, it } from 'vitest';
import { CallMeter } from './call-meter.js';
import { endpoints } from './endpoints.js';

const request = { model: 'gpt-4o', messages: [{ role: 'user', content: 'Hello there' }] };

function answered(asked: object = request): CallMeter {
  const meter = new CallMeter(endpoints.chat, asked);
  meter.answered(200);
  return meter;
}

describe('CallMeter', () => {
  it('uses reported figures instead of counting, and is settled at once', () => {
    const meter = answered();
    meter.saw({ choices: [], usage: { prompt_tokens: 7, completion_tokens: 3 } });
    expect(meter.usage).toBeUndefined();
    void meter.settle();
    expect(meter.usage).toMatchObject({ promptTokens: 7, completionTokens: 3, isCounted: false });
  });

  it('joins the parts of a text before it counts them, each choice apart', async () => {
    const meter = answered();
    for (const content of ['Hel', 'lo th', 'ere']) {
      meter.saw({ choices: [0, 1].map((index) => ({ index, delta: { content } })) });
    }
    expect(await meter.settle()).toMatchObject({ completionTokens: 4, isCounted: true });
  });

  it('counts a long answer piece by piece', async () => {
    const meter = answered();
    const content = 'word '.repeat(20_000);
    for (let i = 0; i < 5; i += 1) meter.saw({ choices: [{ index: 0, delta: { content } }] });
    const { completionTokens } = await meter.settle();
    expect(completionTokens).toBeGreaterThanOrEqual(100_000);
    expect(completionTokens).toBeLessThan(100_020);
  });

  it('settles though it cannot count, and says so', async () => {
    const broken = {
      get messages(): never {
        throw new Error('no');
      },
    };
    const meter = answered(broken);
    meter.saw({ choices: [{ index: 0, delta: { content: 'Hi' } }] });
    expect(await meter.settle()).toMatchObject({ promptTokens: 0, error: 'uncounted' });
  });

  it('counts once what a message repeats of earlier deltas', async () => {
    const meter = answered();
    const chunk = (delta: object, content: string): void =>
      meter.saw({ choices: [{ index: 0, delta, message: { content } }] });
    chunk({ content: 'Hello' }, 'Hello');
    chunk({ content: ' there' }, 'Hello there');
    chunk({}, 'Hello there');
    expect(await meter.settle()).toMatchObject({ completionTokens: 2, isCounted: true });
  });

  it('knows the error of a stream that Groq stopped early', async () => {
    const meter = answered();
    meter.saw({ choices: [{ index: 0, delta: { content: 'Hello' } }] });
    meter.saw({ choices: [{ index: 0, delta: {} }], x_groq: { error: 'over capacity' } });
    expect(await meter.settle()).toMatchObject({ completionTokens: 1, error: 'error' });
  });

  it('keeps no half of a character in what it says of an answer', async () => {
    const meter = answered();
    meter.saw({ model: `m\0${'x'.repeat(300)}\ud83d`, error: { code: `${'c'.repeat(63)}👩` } });
    const { model, error } = await meter.settle();
    expect(model).toBe(`m${'x'.repeat(254)}`);
    expect(error).toBe('c'.repeat(63));
  });
});
