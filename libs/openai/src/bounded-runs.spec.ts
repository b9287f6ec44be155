import fc from 'fast-check';
import {
  CL100K_TOKEN_SPLIT_REGEX,
  O200K_TOKEN_SPLIT_REGEX,
} from 'gpt-tokenizer/encodingParams/constants';
import { describe, expect, it } from 'vitest';
import { boundedRuns, isFreeCut } from './bounded-runs.js';

/** The rules that the tokenizer cuts words by. */
const RULES = [CL100K_TOKEN_SPLIT_REGEX, O200K_TOKEN_SPLIT_REGEX];
/** A character before, a run, and one of line ends after it. */
const LONGEST_WORD = 1 + 128 + 128;

const wordsOf = (text: string, rule: RegExp): string[] => text.match(rule) ?? [];

/** Every class of the rules, in one unit and in two, and what they treat apart. */
const TELLING = fc.constantFrom(
  ...['a', 'B', 'é', 'ǅ', 'あ', '々', '漢', 'ʰ', '𝒳', '𐐀', 's', "'s", "'LL", "'", '’'],
  ...['\u0301', '\u094d', '\ufe0f', '\u{e0100}', '1', '٣', '½', '𝟙'],
  ...['!', '¡', '/', '。', '😀', '\u200d', '\0', '\ud83d', '\ude00', '\u{e0001}'],
  ...[' ', '  ', '\t', '\u00a0', '\u3000', '\ufeff', '\n', '\r', '\r\n', '\u2028', '\u0085'],
);

describe('boundedRuns', () => {
  it.each([
    'The quick brown fox. ',
    '日本語の文章です。',
    'สวัสดีชาวโลก ',
    'नमस्ते दुनिया। ',
    '{"a":[1,2]},\n',
    '0123456789',
    '𝟘𝟙𝟚𝟛',
  ])('gives a text of %j in parts with the same words', (sentence) => {
    const text = sentence.repeat(3000);
    const parts = [...boundedRuns(text)];
    expect(parts.join('')).toBe(text);
    expect(Math.max(...parts.map((part) => part.length))).toBeLessThanOrEqual(4096);
    expect(parts.length).toBeLessThan(text.length / 4000 + 1);
    for (const rule of RULES) {
      expect(parts.flatMap((part) => wordsOf(part, rule))).toEqual(wordsOf(text, rule));
    }
  });

  it('leaves a short text whole, also a word that is as long as may be', () => {
    for (const text of ['x'.repeat(128), ' '.repeat(128), 'The quick brown fox.']) {
      expect([...boundedRuns(text)]).toEqual([text]);
    }
    expect([...boundedRuns('')]).toEqual([]);
  });

  it.each(['a', ' ', '\n', '!', '…', '漢', '😀', 'é', 'e\u0301', '𝒳', '\ud83d', '\ude00'])(
    'cuts a run of %j, and loses nothing',
    (one) => {
      const text = one.repeat(10_000);
      const parts = [...boundedRuns(text)];
      expect(parts.join('')).toBe(text);
      expect(Math.max(...parts.map((part) => part.length))).toBeLessThanOrEqual(128);
      expect(parts.every((part) => part.isWellFormed())).toBe(text.isWellFormed());
      expect(parts.some((part) => /^\p{M}/u.test(part))).toBe(false);
    },
  );

  it.each(['あ々', '👨‍👩‍👧‍👦', '!¡', 'ab\u0301', '!\u0301', ' \u3000', '!\n/', '\n/', "a'", 'aB', '漢A'])(
    'leaves no long word of %j in turns',
    (few) => {
      const text = few.repeat(3000);
      const parts = [...boundedRuns(text)];
      expect(parts.join('')).toBe(text);
      expect(parts.every((part) => part.length <= 4096 && part.isWellFormed())).toBe(true);
      for (const rule of RULES) {
        const lengths = parts.flatMap((part) => wordsOf(part, rule)).map((word) => word.length);
        expect(Math.max(...lengths)).toBeLessThanOrEqual(LONGEST_WORD);
      }
    },
  );

  it('cuts no family of emoji', () => {
    const parts = [...boundedRuns('👨‍👩‍👧‍👦'.repeat(3000))];
    expect(parts.filter((part) => !/^(👨‍👩‍👧‍👦)+$/u.test(part))).toEqual([]);
  });

  it('leaves no long word in any text', () => {
    const cycle = fc.array(TELLING, { minLength: 1, maxLength: 6 });
    const texts = fc.array(fc.tuple(cycle, fc.integer({ min: 1, max: 600 })), { maxLength: 5 });
    fc.assert(
      fc.property(texts, (cycles) => {
        const text = cycles.map(([few, times]) => few.join('').repeat(times)).join('');
        const parts = [...boundedRuns(text)];
        expect(parts.join('')).toBe(text);
        for (const rule of RULES) {
          const words = parts.flatMap((part) => wordsOf(part, rule));
          expect(words.filter((word) => word.length > LONGEST_WORD)).toEqual([]);
        }
      }),
    );
  });
});

describe('isFreeCut', () => {
  it('says so only where both rules cut, and both sides have the words of the whole', () => {
    const texts = fc.array(TELLING, { minLength: 2, maxLength: 12 });
    fc.assert(
      fc.property(texts, (characters) => {
        const text = characters.join('');
        for (let at = 1; at < text.length; at++) {
          if (!isFreeCut(text, at)) continue;
          for (const rule of RULES) {
            const sides = [text.slice(0, at), text.slice(at)];
            expect(sides.flatMap((side) => wordsOf(side, rule))).toEqual(wordsOf(text, rule));
          }
        }
      }),
      { numRuns: 2000 },
    );
  });
});
