import type { CallUsage } from '@app/openai';
import { expect, it } from 'vitest';
import { PriceBook } from '../prices/price-book.js';
import { RepeatedCalls } from './repeated-calls.js';

const USED: CallUsage = {
  promptTokens: 7,
  completionTokens: 3,
  details: {},
  isCounted: false,
  status: 200,
  error: undefined,
  isComplete: true,
  model: undefined,
  serviceTier: undefined,
  requestId: undefined,
  answerId: undefined,
  answeredAt: undefined,
};
const caller = { userId: 'alice', apiKeyId: 'laptop' };

it('Remembers the last 10,000 answers, of however many keys', () => {
  const calls = new RepeatedCalls(new PriceBook(undefined));
  let answers = 0;
  /** Whether another answer to a call with this key is known to be a repetition. */
  const isRepetition = (key: string): boolean => {
    const used = { ...USED, answerId: `answer-${(answers += 1)}` };
    const call = { caller, endpoint: 'chat', model: 'gpt-4o', used, at: new Date(0) };
    const { attributes } = calls.entryOf({ ...call, end: 'completed' }, key);
    return attributes?.repetition === true;
  };
  const ask = (times: number, key: (index: number) => string): void => {
    for (let index = 0; index < times; index += 1) isRepetition(key(index));
  };
  isRepetition('first');
  ask(9_999, (index) => `key-${Math.floor(index / 8)}`);
  expect(isRepetition('first')).toBe(true);
  ask(10_000, (index) => `other-${Math.floor(index / 8)}`);
  expect([isRepetition('first'), isRepetition('other-1249')]).toEqual([false, true]);
});
