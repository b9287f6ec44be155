import { describe, expect, it } from 'vitest';
import { builtInPrices } from './built-in-prices.js';
import { parsePrices } from './price-file.js';

const NOW = new Date('2026-11-29T12:00:00Z');
const cost = (model: string, promptTokens: number, completionTokens: number) =>
  builtInPrices.costNanos(model, { promptTokens, completionTokens }, NOW);

describe('The built-in prices', () => {
  it('charge tokens read and tokens written apart', () => {
    // 2.50 and 10 dollars for a million tokens.
    expect(cost('gpt-4o', 1_000_000, 0)).toBe(2_500_000_000n);
    expect(cost('gpt-4o', 0, 1_000_000)).toBe(10_000_000_000n);
  });

  it('have the price of a version of a model', () => {
    expect(cost('gpt-4o-2024-08-06', 1, 1)).toBe(cost('gpt-4o', 1, 1));
    expect(cost('gpt-4o-mini-2024-07-18', 1, 1)).toBe(cost('gpt-4o-mini', 1, 1));
    expect(cost('gpt-4-turbo-preview', 1, 1)).toBe(cost('gpt-4-turbo', 1, 1));
    expect(cost('gpt-4o-2024-05-13', 1, 1)).toBe(20_000n);
  });

  it.each([
    'llama-3',
    'gpt-4.5',
    'o1-mini',
    'o3-pro',
    'gpt-5-preview',
    'gpt-4-32k',
    'toString',
    '__proto__',
    '',
  ])('have none for %j', (model) => {
    expect(cost(model, 1, 1)).toBeNull();
  });

  it('are exact for the largest counts that an entry may hold', () => {
    expect(cost('gpt-4', 2_147_483_647, 2_147_483_647)).toBe(193_273_528_230_000n);
  });
});

describe('A price list', () => {
  const full = {
    prompt: 2,
    cacheRead: 0.5,
    cacheWrite: 2.5,
    audioPrompt: 40,
    completion: 8,
    reasoning: 9,
    audioCompletion: 80,
  };
  const list = parsePrices({
    version: 'v',
    models: { full: [full], plain: [{ prompt: 2, completion: 8 }] },
  });
  const tokens = {
    promptTokens: 1_000,
    cacheReadTokens: 600,
    cacheWriteTokens: 200,
    audioPromptTokens: 100,
    completionTokens: 500,
    reasoningTokens: 300,
    audioCompletionTokens: 50,
  };

  it('prices each part apart, once', () => {
    // Thousandths of a millionth of a dollar: 100, 600, 200 and 100 read; 150, 300 and 50 written.
    const read = 100 * 2_000 + 600 * 500 + 200 * 2_500 + 100 * 40_000;
    const written = 150 * 8_000 + 300 * 9_000 + 50 * 80_000;
    expect(list.costNanos('full', tokens, NOW)).toBe(BigInt(read + written));
  });

  it('prices a part like its whole if it has no price of its own', () => {
    expect(list.costNanos('plain', tokens, NOW)).toBe(BigInt(1_000 * 2_000 + 500 * 8_000));
  });

  it('charges no more tokens than the whole has, whatever its parts are said to be', () => {
    const wrong = {
      promptTokens: 10,
      completionTokens: 0,
      cacheReadTokens: 900,
      reasoningTokens: 5,
    };
    expect(list.costNanos('full', wrong, NOW)).toBe(BigInt(10 * 500));
  });

  it('takes the price of the time of the call', () => {
    const dated = parsePrices({
      version: 'v',
      models: {
        m: [
          { from: '2026-01-01', prompt: 1, completion: 1 },
          { from: '2026-07-01T02:00:00+02:00', prompt: 3, completion: 1 },
          { from: '2026-03-01', prompt: 2, completion: 1 },
        ],
      },
    });
    const at = (time: string) =>
      dated.costNanos('m', { promptTokens: 1, completionTokens: 0 }, new Date(time));
    expect(at('2025-12-31T23:59:59.999Z')).toBeNull();
    expect(at('2026-01-01T00:00:00Z')).toBe(1_000n);
    expect(at('2026-06-30T23:59:59.999Z')).toBe(2_000n);
    expect(at('2026-07-01T00:00:00Z')).toBe(3_000n);
  });

  it('rounds a cost below a billionth half up, once for the whole call', () => {
    const tiny = parsePrices({
      version: 'v',
      models: { m: [{ prompt: '0.000001', completion: '0.0375' }] },
    });
    const of = (promptTokens: number, completionTokens: number) =>
      tiny.costNanos('m', { promptTokens, completionTokens }, NOW);
    expect([of(499, 0), of(500, 0), of(0, 1), of(500, 1)]).toEqual([0n, 1n, 38n, 38n]);
  });

  it.each([
    ['models.m.0.promt', { models: { m: [{ promt: 1, completion: 1 }] } }],
    ['models.m.0.prompt', { models: { m: [{ prompt: -1, completion: 1 }] } }],
    ['models.m.0.prompt', { models: { m: [{ prompt: 0.0000001, completion: 1 }] } }],
    ['models.m.0.completion', { models: { m: [{ prompt: 1, completion: 'free' }] } }],
    ['models.m.0.from', { models: { m: [{ from: 'soon', prompt: 1, completion: 1 }] } }],
    ['models.m', { models: { m: [] } }],
    ['models.m', { models: { m: [{ prompt: 1 }, { prompt: 2 }] } }],
    ['version', { version: 7, models: {} }],
    ['modles', { modles: {} }],
  ])('names the fault at %s', (path, given) => {
    const name = path.split('.').at(-1)!;
    expect(() => parsePrices({ version: 'v', ...given })).toThrow(name);
  });
});
