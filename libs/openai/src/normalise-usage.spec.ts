import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { mergeUsage, normaliseUsage, usageOfChoices } from './normalise-usage.js';

const tokens = (told: unknown) => {
  const { promptTokens, completionTokens } = normaliseUsage(told) ?? {};
  return [promptTokens, completionTokens];
};

describe('normaliseUsage', () => {
  it.each([
    ['figures as text', { prompt_tokens: '21', completion_tokens: ' 30 ' }, [21, 30]],
    [
      'figures with a fraction of zero',
      { prompt_tokens: '21.0', completion_tokens: 30.0 },
      [21, 30],
    ],
    ['other names', { input_tokens: 21, output_tokens: 30 }, [21, 30]],
    [
      'zeros under the names that a proxy does not use',
      { prompt_tokens: 21, completion_tokens: 30, input_tokens: 0, output_tokens: 0 },
      [21, 30],
    ],
    [
      'zeros under the usual names',
      { prompt_tokens: 0, completion_tokens: 0, input_tokens: 21, output_tokens: 30 },
      [21, 30],
    ],
    ['a total alone beside the prompt', { prompt_tokens: 21, total_tokens: 51 }, [21, 30]],
    ['a total alone beside the completion', { completion_tokens: 30, total_tokens: 51 }, [21, 30]],
    ['embeddings', { prompt_tokens: 8, total_tokens: 8 }, [8, 0]],
    [
      'a total above its parts',
      { prompt_tokens: 21, completion_tokens: 10, total_tokens: 1031 },
      [21, 1010],
    ],
    [
      'a total below its parts',
      { prompt_tokens: 21, completion_tokens: 30, total_tokens: 30 },
      [21, 30],
    ],
    [
      'reasoning above the completion',
      {
        prompt_tokens: 21,
        completion_tokens: 10,
        completion_tokens_details: { reasoning_tokens: 40 },
      },
      [21, 50],
    ],
    [
      'Anthropic’s own tokens, the cached ones beside the others',
      {
        input_tokens: 3,
        output_tokens: 5,
        cache_read_input_tokens: 100,
        cache_creation_input_tokens: 7,
      },
      [110, 5],
    ],
    ['a prompt alone', { prompt_tokens: 21, completion_tokens: null }, [21, undefined]],
  ])('reads %s', (_, told, expected) => {
    expect(tokens(told)).toEqual(expected);
  });

  it.each([
    { prompt_tokens: 0, completion_tokens: 30, total_tokens: 30 },
    { prompt_tokens: -1, completion_tokens: 2 },
    { prompt_tokens: 1.5, completion_tokens: 2 },
    { prompt_tokens: 2 ** 31, completion_tokens: 2 },
    { prompt_tokens: 'many' },
    { completion_tokens: 3 },
    null,
    7,
    [],
  ])('takes %j for none', (told) => {
    expect(normaliseUsage(told)).toBeUndefined();
  });

  it('never throws, and returns figures that an entry can hold, whatever its input', () => {
    const figure = fc.oneof(fc.integer(), fc.double(), fc.string(), fc.constant(null));
    const names = ['prompt_tokens', 'completion_tokens', 'total_tokens', 'reasoning_tokens'];
    const usage = fc.dictionary(fc.constantFrom(...names), fc.oneof(figure, fc.jsonValue()));
    fc.assert(
      fc.property(usage, (told) => {
        for (const value of Object.values(normaliseUsage(told) ?? {})) {
          if (value === undefined) continue;
          expect(Number.isInteger(value) && value >= 0).toBe(true);
          expect(value).toBeLessThanOrEqual(2_147_483_647);
        }
      }),
    );
  });
});

describe('mergeUsage', () => {
  it('takes the last figures, but no zero after others', () => {
    const first = { promptTokens: 9, completionTokens: 1, cacheReadTokens: 4 };
    const last = { promptTokens: 9, completionTokens: 30, cacheReadTokens: undefined };
    expect(mergeUsage(first, last)).toMatchObject({ completionTokens: 30, cacheReadTokens: 4 });
    expect(mergeUsage(last, { ...first, completionTokens: 0 })).toMatchObject({
      completionTokens: 30,
    });
    expect(mergeUsage({ promptTokens: 9 }, { ...first, completionTokens: 0 })).toMatchObject({
      completionTokens: 0,
    });
  });
});

describe('usageOfChoices', () => {
  it('charges their prompt once, and each completion', () => {
    const choices = [
      { promptTokens: 9, completionTokens: 3, reasoningTokens: 1 },
      { promptTokens: 9, completionTokens: 4 },
    ];
    expect(usageOfChoices(choices)).toMatchObject({
      promptTokens: 9,
      completionTokens: 7,
      reasoningTokens: 1,
    });
    expect(usageOfChoices([])).toBeUndefined();
  });
});
