import { describe, expect, it } from 'vitest';
import { endpoints } from './endpoints.js';
import type { LoopbackRequest } from './loopback-request.schema.js';
import { LoopbackProvider } from './loopback.provider.js';

/** Is answered with "You", " said", ":", " a", " b". */
const request: LoopbackRequest = { model: 'gpt-4o', messages: [{ role: 'user', content: 'a b' }] };
const PROMPT_TOKENS = 9;

function callOf(json: object) {
  return {
    method: 'POST',
    path: endpoints.chat.path,
    headers: {},
    body: undefined,
    json,
    hasReader: () => true,
  };
}

async function bodyOf(extra: Partial<LoopbackRequest>): Promise<string> {
  const never = new AbortController().signal;
  const { body } = await new LoopbackProvider(0).send(callOf({ ...request, ...extra }), never);
  let text = '';
  for await (const piece of body) text += Buffer.from(piece).toString();
  return text;
}

async function answerTo(extra: Partial<LoopbackRequest>): Promise<any> {
  return JSON.parse(await bodyOf(extra));
}

async function eventsOf(extra: Partial<LoopbackRequest>): Promise<any[]> {
  const events = (await bodyOf({ ...extra, stream: true })).split('\n\n').filter(Boolean);
  const data = events.map((event) => event.slice('data: '.length));
  return data.map((text) => (text === '[DONE]' ? text : JSON.parse(text)));
}

describe('LoopbackProvider, at once', () => {
  it('gives text and token counts in the form of a chat.completion', async () => {
    const completion = await answerTo({});
    const message = { role: 'assistant', content: 'You said: a b', refusal: null };
    expect(completion).toMatchObject({
      object: 'chat.completion',
      model: 'gpt-4o',
      choices: [{ index: 0, message, finish_reason: 'stop' }],
      usage: { prompt_tokens: PROMPT_TOKENS, completion_tokens: 5, total_tokens: 14 },
    });
    expect(completion.id).toMatch(/^chatcmpl-[0-9a-f]{29}$/);
  });

  it('charges the prompt once and each of n choices', async () => {
    const completion = await answerTo({ n: 3 });
    expect(completion.choices).toMatchObject([{ index: 0 }, { index: 1 }, { index: 2 }]);
    expect(completion.usage).toMatchObject({
      prompt_tokens: PROMPT_TOKENS,
      completion_tokens: 15,
    });
  });
});

describe('LoopbackProvider, as a stream', () => {
  it('streams the role, each piece, the end and [DONE]', async () => {
    const events = await eventsOf({});
    expect(events).toMatchObject([
      { object: 'chat.completion.chunk', choices: [{ delta: { role: 'assistant' } }] },
      ...['You', ' said', ':', ' a', ' b'].map((content) => ({
        choices: [{ delta: { content }, finish_reason: null }],
      })),
      { choices: [{ delta: {}, finish_reason: 'stop' }] },
      '[DONE]',
    ]);
    expect(events.some((event) => Object.hasOwn(Object(event), 'usage'))).toBe(false);
  });

  it('ends with the usage if that was asked for, and has null for it until then', async () => {
    const events = await eventsOf({ stream_options: { include_usage: true } });
    expect(events.slice(0, -2).every((event) => event.usage === null)).toBe(true);
    expect(events.at(-2)).toMatchObject({
      choices: [],
      usage: { prompt_tokens: PROMPT_TOKENS, completion_tokens: 5, total_tokens: 14 },
    });
  });

  it('has all choices in each event, and charges each', async () => {
    const events = await eventsOf({ n: 3, stream_options: { include_usage: true } });
    const all = (choice: object) => [0, 1, 2].map((index) => ({ index, ...choice }));
    expect(events).toMatchObject([
      { choices: all({ delta: { role: 'assistant', content: '' }, finish_reason: null }) },
      ...['You', ' said', ':', ' a', ' b'].map((content) => ({
        choices: all({ delta: { content }, finish_reason: null }),
      })),
      { choices: all({ delta: {}, finish_reason: 'stop' }) },
      { choices: [], usage: { prompt_tokens: PROMPT_TOKENS, completion_tokens: 15 } },
      '[DONE]',
    ]);
  });

  it('makes no more once its reader has left, and tells what it had made', async () => {
    let isThere = true;
    const messages = [{ role: 'user', content: 'word '.repeat(1000) }];
    const json = { ...request, messages, stream: true, stream_options: { include_usage: true } };
    const call = { ...callOf(json), hasReader: () => isThere };
    const { body } = await new LoopbackProvider(0).send(call, new AbortController().signal);
    const events: string[] = [];
    for await (const piece of body) {
      events.push(Buffer.from(piece).toString());
      isThere = events.length < 10;
    }
    // The role and nine pieces, the end, and the usage with `[DONE]`.
    expect(events).toHaveLength(12);
    expect(events.at(-1)).toContain('"completion_tokens":9,');
  });

  it('lets the event loop go on, however fast it is read', async () => {
    let turns = 0;
    const count = (): void => {
      turns += 1;
      timer = setImmediate(count);
    };
    const content = ' word'.repeat(3000);
    const { body } = await new LoopbackProvider(0).send(
      callOf({ ...request, n: 32, stream: true, messages: [{ role: 'user', content }] }),
      new AbortController().signal,
    );
    let timer = setImmediate(count);
    let pieces = 0;
    for await (const piece of body) pieces += Number(piece.length > 0);
    clearImmediate(timer);
    expect(pieces).toBeGreaterThan(3000);
    expect(turns).toBeGreaterThan(10);
  });
});
