import { randomBytes } from 'node:crypto';
import { describe, expect, it } from 'vitest';
import { CountingThread } from './counting-thread.js';
import { Tokenizer } from './tokenizer.js';

describe('CountingThread', () => {
  it('counts as the tokenizer does, jobs of several callers at once', async () => {
    const thread = new CountingThread();
    const tokenizer = await Tokenizer.load('gpt-4o');
    const texts = Array.from({ length: 20 }, () => randomBytes(90).toString('base64'));
    const counts = await Promise.all(texts.map((text) => thread.count('o200k_base', [text, ' a'])));
    expect(counts).toEqual(texts.map((text) => tokenizer.count(text) + 1));
  });

  it('says so if it cannot count, and goes on', async () => {
    const thread = new CountingThread();
    await expect(thread.count('r50k_base', [undefined as unknown as string])).rejects.toThrow();
    expect(await thread.count('o200k_base', ['Hello there'])).toBe(2);
  });

  it('leaves the event loop free meanwhile', async () => {
    const tokenizer = await Tokenizer.load('gpt-4o');
    const text = randomBytes(400_000).toString('base64');
    let turns = 0;
    const count = (): void => {
      turns += 1;
      timer = setImmediate(count);
    };
    let timer = setImmediate(count);
    expect(await tokenizer.countAll([text])).toBeGreaterThan(200_000);
    clearImmediate(timer);
    expect(turns).toBeGreaterThan(50);
  });
});
