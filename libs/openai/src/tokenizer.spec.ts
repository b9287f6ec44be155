import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { promptOfChat } from './prompt.js';
import { Tokenizer } from './tokenizer.js';

/**
 * OpenAI's own example, with the counts that its API gave for it.
 * Source: https://cookbook.openai.com/examples/how_to_count_tokens_with_tiktoken
 */
const EXAMPLE = [
  {
    role: 'system',
    content:
      'You are a helpful, pattern-following assistant that translates corporate jargon into plain English.',
  },
  {
    role: 'system',
    name: 'example_user',
    content: 'New synergies will help drive top-line growth.',
  },
  {
    role: 'system',
    name: 'example_assistant',
    content: 'Things working well together will increase revenue.',
  },
  {
    role: 'system',
    name: 'example_user',
    content:
      "Let's circle back when we have more bandwidth to touch base on opportunities for increased leverage.",
  },
  {
    role: 'system',
    name: 'example_assistant',
    content: "Let's talk later when we're less busy about how to do better.",
  },
  {
    role: 'user',
    content:
      "This late pivot means we don't have time to boil the ocean for the client deliverable.",
  },
];

/** A model of each encoding, and the package's own counting by it. */
const ENCODINGS = [
  ['gpt-4', () => import('gpt-tokenizer/encoding/cl100k_base')],
  ['gpt-4o', () => import('gpt-tokenizer/encoding/o200k_base')],
] as const;

/** Words, numbers, signs and spaces of many scripts, none of them absurdly long. */
const SNIPPET = fc.oneof(
  fc.constantFrom(
    ...[
      'The quick',
      ' brown',
      " they'LL",
      " it's",
      ' fooBarBAZ',
      ' naïve',
      ' e\u0301te\u0301',
      ' Straße',
    ],
    ...[
      '日本語の文章',
      '漢字',
      'カタカナー',
      '々',
      '。',
      '、',
      '「',
      '한국어 문장',
      'สวัสดีชาวโลก',
      ' नमस्ते',
    ],
    ...[' العربية', ' שָׁלוֹם', ' Привет', ' Γειά', ' தமிழ்', '𝒳𝒴', '𐐀𐐨', '👨‍👩‍👧‍👦', '👍🏽', '🇩🇪', '❤️', '😀'],
    ...[' 12345', '1,234.50', '٣٤٥', '½', '𝟙𝟚'],
    ...[' ', '  ', '\n', '\n\n', '\r\n', ' \n', '\n  ', '\t', '\u3000', '\u00a0', '\ufeff'],
    ...['!', '...', ' //', '/\n', '";\n', "'", '’', '=>', '<|endoftext|>', '\0', '\ud83d'],
  ),
  fc.string({ unit: 'grapheme', maxLength: 8 }),
  fc.string({ unit: 'binary', maxLength: 8 }),
);
/** A word, and between its two characters a place where both rules cut, whatever stands around. */
const CUT_WORD = 'x1';
/** What no language has, and is cut in its midst: letters, signs, spaces or line ends in a row. */
const LONG_RUN = /[\p{L}\p{M}]{64}|[^\p{L}\p{N}\s]{64}|\s{64}|[\r\n/]{64}/u;

/** Tokens of all that a model reads of messages. */
async function promptTokens(tokenizer: Tokenizer, messages: readonly object[]): Promise<number> {
  const { texts, markTokens } = promptOfChat({ messages });
  return markTokens + (await tokenizer.countAll(texts));
}

/** Tokens of a text alone: those of a message with it, less those of one without. */
async function contentTokens(tokenizer: Tokenizer, content: string): Promise<number> {
  const count = (text: string) => promptTokens(tokenizer, [{ role: 'user', content: text }]);
  return (await count(content)) - (await count(''));
}

describe('Tokenizer', () => {
  it.each([
    ['gpt-3.5-turbo', 129],
    ['gpt-4-0613', 129],
    ['gpt-4', 129],
    ['gpt-4o', 124],
    ['gpt-4o-mini', 124],
  ])('counts the example conversation for %s as the API did: %i', async (model, tokens) => {
    const tokenizer = await Tokenizer.load(model);
    expect(await promptTokens(tokenizer, EXAMPLE)).toBe(tokens);
  });

  it('takes the mark of an end for text, since a user wrote it', async () => {
    const tokenizer = await Tokenizer.load('gpt-4o');
    const pieces = [...tokenizer.split('a <|endoftext|> b')];
    expect(pieces.map((piece) => piece.text).join('')).toBe('a <|endoftext|> b');
    expect(pieces.length).toBeGreaterThan(3);
  });

  it('cuts any text into pieces that make up its characters and its tokens again', async () => {
    const tokenizer = await Tokenizer.load('gpt-4o');
    const texts = fc.string({ unit: 'grapheme', maxLength: 40 });
    await fc.assert(
      fc.asyncProperty(texts, async (text) => {
        const pieces = [...tokenizer.split(text)];
        expect(pieces.map((piece) => piece.text).join('')).toBe(text);
        const tokens = pieces.reduce((sum, piece) => sum + piece.tokens, 0);
        expect(tokens).toBe(await contentTokens(tokenizer, text));
        expect(tokens).toBe(tokenizer.count(text));
      }),
    );
  });

  it.each(ENCODINGS)(
    'counts a long text for %s as the package counts the whole',
    async (model, load) => {
      const tokenizer = await Tokenizer.load(model);
      const { countTokens } = await load();
      await fc.assert(
        fc.asyncProperty(fc.array(SNIPPET, { minLength: 1, maxLength: 60 }), async (snippets) => {
          // Times a prime, so that parts end at other places of what is repeated.
          const text = (CUT_WORD + snippets.join('')).repeat(47);
          fc.pre(!LONG_RUN.test(text));
          const whole = countTokens(text, { disallowedSpecial: new Set() });
          expect(tokenizer.count(text)).toBe(whole);
          expect(await tokenizer.countAll([text])).toBe(whole);
        }),
      );
    },
  );

  it.each(ENCODINGS)(
    'counts a token or two more for %s where it cuts a run',
    async (model, load) => {
      const tokenizer = await Tokenizer.load(model);
      const { countTokens } = await load();
      for (const one of ['あ々', '👨‍👩‍👧‍👦', '!¡', 'a', 'ALS', ' ', '-']) {
        const text = one.repeat(600);
        const cuts = Math.ceil(text.length / 96);
        const more = tokenizer.count(text) - countTokens(text);
        expect(more).toBeGreaterThanOrEqual(-cuts);
        expect(more).toBeLessThanOrEqual(2 * cuts);
      }
    },
  );

  it('never cuts a character in two', async () => {
    const tokenizer = await Tokenizer.load('gpt-4');
    const pieces = [...tokenizer.split('naïve 👩‍👩‍👧 𝒳 漢字')];
    expect(pieces.some((piece) => piece.text.includes('\uFFFD'))).toBe(false);
    expect(pieces.some((piece) => piece.tokens > 1)).toBe(true);
  });

  it('counts all parts of a message, its name and its tool calls', async () => {
    const tokenizer = await Tokenizer.load('gpt-4o');
    const count = (message: object) => promptTokens(tokenizer, [message]);
    const plain = await count({ role: 'user', content: 'Hello there' });
    const parts = ['Hello', ' there'].map((text) => ({ type: 'text' as const, text }));
    expect(await count({ role: 'user', content: parts })).toBe(plain);
    expect(await count({ role: 'user', content: 'Hello there', name: 'bob' })).toBe(plain + 2);
    expect(await count({ role: 'user', content: null })).toBe(plain - 2);
    const calls = [{ id: 'call_1', type: 'function' }];
    expect(await count({ role: 'assistant', content: null, tool_calls: calls })).toBeGreaterThan(
      plain,
    );
  });
});
