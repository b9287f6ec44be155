import { describe, expect, it } from 'vitest';
import { answerAtOnce, answerInChunks, type Metering } from './chat-answer.js';
import type { ChatRequest } from './chat-request.schema.js';
import type { Answer } from './loopback.provider.js';

const request: ChatRequest = { model: 'gpt-4o', messages: [{ role: 'user', content: 'Hi' }] };

function answerOf(...texts: string[]): Answer {
  const pieces = (async function* () {
    for (const text of texts) yield { text, tokens: 2 };
  })();
  return { promptTokens: 7, pieces, finishReason: 'stop' };
}

async function eventsOf(extra: Partial<ChatRequest>): Promise<unknown[]> {
  const events = [];
  for await (const text of answerInChunks({ ...request, ...extra }, answerOf('a', 'b'), {})) {
    for (const event of text.split('\n\n').filter(Boolean)) {
      const data = event.slice('data: '.length);
      events.push(data === '[DONE]' ? data : JSON.parse(data));
    }
  }
  return events;
}

describe('answerAtOnce', () => {
  it('gives text and token counts in the form of a chat.completion', async () => {
    const metering: Metering = {};
    const completion = await answerAtOnce(request, answerOf('a', 'b'), metering);
    expect(completion).toMatchObject({
      object: 'chat.completion',
      model: 'gpt-4o',
      choices: [{ index: 0, message: { role: 'assistant', content: 'ab' }, finish_reason: 'stop' }],
      usage: { prompt_tokens: 7, completion_tokens: 4, total_tokens: 11 },
    });
    expect(completion.id).toMatch(/^chatcmpl-[0-9a-f]{29}$/);
    expect(metering).toEqual({ promptTokens: 7, completionTokens: 4 });
  });

  it('charges the prompt once and each of n choices', async () => {
    const completion = await answerAtOnce({ ...request, n: 3 }, answerOf('a'), {});
    expect(completion.choices.map((choice) => choice.index)).toEqual([0, 1, 2]);
    expect(completion.usage).toMatchObject({ prompt_tokens: 7, completion_tokens: 6 });
  });
});

describe('answerInChunks', () => {
  it('streams the role, each piece, the end and [DONE]', async () => {
    const events = await eventsOf({});
    expect(events).toMatchObject([
      { object: 'chat.completion.chunk', choices: [{ delta: { role: 'assistant' } }] },
      { choices: [{ delta: { content: 'a' }, finish_reason: null }] },
      { choices: [{ delta: { content: 'b' }, finish_reason: null }] },
      { choices: [{ delta: {}, finish_reason: 'stop' }] },
      '[DONE]',
    ]);
    expect(events.some((event) => Object.hasOwn(event as object, 'usage'))).toBe(false);
  });

  it('ends with the usage if that was asked for, and has null for it until then', async () => {
    const events = await eventsOf({ stream_options: { include_usage: true } });
    expect(
      events.slice(0, -2).every((event) => (event as Metering & { usage: null }).usage === null),
    ).toBe(true);
    expect(events.at(-2)).toMatchObject({
      choices: [],
      usage: { prompt_tokens: 7, completion_tokens: 4, total_tokens: 11 },
    });
  });

  it('has counted what was made when nobody reads on', async () => {
    const metering: Metering = {};
    const events = answerInChunks(request, answerOf('a', 'b', 'c'), metering);
    await events.next();
    expect(metering).toEqual({ promptTokens: 7 });
    await events.next();
    await events.return(undefined);
    expect(metering).toEqual({ promptTokens: 7, completionTokens: 2 });
  });
});
