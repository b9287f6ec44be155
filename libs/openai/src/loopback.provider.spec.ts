import { describe, expect, it } from 'vitest';
import { endpoints } from './endpoints.js';
import type { LoopbackRequest } from './loopback-request.schema.js';
import { LoopbackProvider } from './loopback.provider.js';

const provider = new LoopbackProvider(0);
const hasReader = () => true;

async function answer(request: Partial<LoopbackRequest>, said = 'one two three') {
  const messages: LoopbackRequest['messages'] = [{ role: 'user', content: said }];
  const never = new AbortController().signal;
  const asked = { model: 'gpt-4o', messages, ...request };
  const { path } = endpoints.chat;
  const call = { method: 'POST', path, headers: {}, body: undefined, json: asked, hasReader };
  const { body } = await provider.send(call, never);
  let json = '';
  for await (const piece of body) json += Buffer.from(piece).toString();
  const { choices, usage } = JSON.parse(json);
  return {
    text: choices[0].message.content,
    tokens: usage.completion_tokens,
    finishReason: choices[0].finish_reason,
  };
}

describe('LoopbackProvider', () => {
  it('repeats what the user said last', async () => {
    const messages: LoopbackRequest['messages'] = [
      { role: 'user', content: 'first' },
      { role: 'assistant', content: 'yes?' },
      { role: 'user', content: [{ type: 'text', text: 'second' }] },
    ];
    expect(await answer({ messages })).toMatchObject({
      text: 'You said: second',
      finishReason: 'stop',
    });
  });

  it.each(['max_tokens', 'max_completion_tokens'])('ends at %s', async (limit) => {
    expect(await answer({ [limit]: 4 })).toEqual({
      text: 'You said: one',
      tokens: 4,
      finishReason: 'length',
    });
  });

  it('is not cut by a limit that it just meets', async () => {
    const whole = await answer({});
    expect(await answer({ max_tokens: whole.tokens })).toEqual(whole);
    expect(whole.finishReason).toBe('stop');
  });

  it('ends before the first of the stop marks', async () => {
    const cut = await answer({ stop: ['three', ' two', ''] });
    expect(cut).toMatchObject({ text: 'You said: one', finishReason: 'stop' });
    expect(await answer({ stop: 'three' })).toMatchObject({ text: 'You said: one two ' });
  });

  it('looks for a stop of 128 characters, and refuses a longer one', async () => {
    const mark = `${'a'.repeat(63)}b${'a'.repeat(64)}`;
    expect(await answer({ stop: mark }, `one ${mark}`)).toMatchObject({ text: 'You said: one ' });
    await expect(answer({ stop: ['b', `${mark}a`] })).rejects.toMatchObject({
      status: 400,
      response: { error: { param: 'stop', message: 'stop: at most 128 characters' } },
    });
  });
});
