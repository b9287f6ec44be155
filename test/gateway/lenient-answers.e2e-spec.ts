import type { ServerResponse } from 'node:http';
import { setTimeout as delay } from 'node:timers/promises';
import OpenAI from 'openai';
import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { MeteredGateway } from '../support/metered-gateway.js';
import { beginStream, says, UpstreamServer } from '../support/upstream-server.js';
import { PATIENCE } from '../support/patience.js';

const upstream = new UpstreamServer();
const call = { model: 'gpt-4o', messages: [{ role: 'user' as const, content: 'Hello there' }] };
const USAGE = { prompt_tokens: 70, completion_tokens: 30, total_tokens: 100 };
const TOLD = { prompt_tokens: 70, completion_tokens: 30, memo: null };
const COUNTED = { prompt_tokens: 9, completion_tokens: 2 };
const WHOLE = JSON.stringify({
  choices: [{ index: 0, message: { role: 'assistant', content: 'Hello there' } }],
  usage: USAGE,
});
const USAGE_EVENT = `data: ${JSON.stringify({ choices: [], usage: USAGE })}\n\n`;
const DONE = 'data: [DONE]\n\n';
const BOM = '\ufeff';
const TIMEOUT_MS = 20_000;

let gateway: MeteredGateway;
let client: OpenAI;

beforeAll(async () => {
  gateway = await MeteredGateway.start({
    UPSTREAM_BASE_URL: await upstream.listen(),
    UPSTREAM_TIMEOUT_MS: String(TIMEOUT_MS),
    UPSTREAM_LINGER_MS: '3000',
  });
  client = new OpenAI({ baseURL: `${gateway.url}/v1`, apiKey: 'sk-client-own', maxRetries: 0 });
});

beforeEach(async () => {
  await gateway.forget();
  upstream.asked.length = 0;
  upstream.abortedCalls = 0;
});

afterAll(async () => {
  await gateway?.stop();
  await upstream.close();
});

function post(body: object, init: RequestInit = {}): Promise<Response> {
  return fetch(`${gateway.url}/v1/chat/completions`, {
    method: 'POST',
    headers: { 'content-type': 'application/json' },
    body: JSON.stringify({ ...call, ...body }),
    ...init,
  });
}

const entry = async () => (await gateway.rows(1))[0];
const answerAs = (type: string | undefined, body: string) => {
  upstream.answer = ({ response }) => {
    response.writeHead(200, type === undefined ? {} : { 'content-type': type }).end(body);
  };
};

describe('A whole answer', () => {
  it.each([
    ['of another type', 'text/plain', WHOLE],
    ['of no type', undefined, WHOLE],
    ['in another charset', 'application/json; charset=ISO-8859-1', WHOLE],
    ['behind a byte order mark', 'application/json', BOM + WHOLE],
    ['behind blanks', 'application/json', `\r\n\t ${WHOLE}`],
    ['that calls itself a stream', 'text/event-stream', WHOLE],
  ])('%s is passed on as it is, and booked', async (_, type, body) => {
    answerAs(type, body);
    for (const stream of [false, true]) {
      await gateway.forget();
      const bytes = Buffer.from(await (await post({ stream })).arrayBuffer());
      expect(bytes.equals(Buffer.from(body))).toBe(true);
      expect(await entry()).toMatchObject(TOLD);
    }
  });

  it('that takes long begins before it is whole', async () => {
    let goOn: () => void = () => undefined;
    upstream.answer = ({ response }) => {
      response.writeHead(200, { 'content-type': 'application/json' });
      response.write('\n\n');
      goOn = () => response.end(WHOLE);
    };
    const answer = await post({});
    const reader = answer.body!.getReader();
    expect(Buffer.from((await reader.read()).value ?? []).toString()).toBe('\n\n');
    goOn();
    expect(Buffer.from((await reader.read()).value ?? []).toString()).toBe(WHOLE);
    expect(await entry()).toMatchObject(TOLD);
  });

  it('that was asked for, but comes as a stream, is booked all the same', async () => {
    answerAs('application/json', says('Hello there') + USAGE_EVENT + DONE);
    await (await post({})).text();
    expect(await entry()).toMatchObject(TOLD);
  });
});

describe('A stream', () => {
  it.each([
    ['of another type', 'application/json', says('Hello there') + USAGE_EVENT + DONE],
    ['of no type', undefined, says('Hello there') + USAGE_EVENT + DONE],
    ['behind a byte order mark', 'text/event-stream', BOM + says('Hello there') + USAGE_EVENT],
    ['in capitals', 'TEXT/EVENT-STREAM;charset=UTF-8', says('Hello there') + USAGE_EVENT + DONE],
    ['with garbage before it', 'text/event-stream', `{"x"\n\n${says('Hi')}${USAGE_EVENT}${DONE}`],
  ])('%s is passed on but for the usage, and booked', async (_, type, body) => {
    answerAs(type, body);
    const sent = await (
      await post({ stream: true, stream_options: { include_usage: true } })
    ).text();
    expect(sent).toBe(body.replace(BOM, ''));
    expect(await entry()).toMatchObject(TOLD);
  });

  it('loses what only the gateway asked for, and not a byte more', async () => {
    const odd =
      '{"id":"c", "choices":[{"index":0,"delta":{"content":"\\u0048i"}}],"n":1.0,"usage":null}';
    answerAs('text/event-stream', `event: x\r\ndata: ${odd}\r\n\r\n${USAGE_EVENT}${DONE}`);
    const sent = await (await post({ stream: true })).text();
    expect(sent).toBe(`event: x\r\ndata: ${odd.replace(',"usage":null', '')}\r\n\r\n${DONE}`);
    expect(await entry()).toMatchObject(TOLD);
  });

  it('is over at [DONE], though the upstream keeps its connection open', async () => {
    const open: ServerResponse[] = [];
    upstream.answer = ({ response }) => {
      beginStream(response);
      response.write(says('Hello there') + USAGE_EVENT + DONE);
      open.push(response);
    };
    const began = Date.now();
    const answer = await post({ stream: true });
    expect(await answer.text()).toBe(says('Hello there') + DONE);
    expect(Date.now() - began).toBeLessThan(TIMEOUT_MS / 2);
    expect(await entry()).toMatchObject(TOLD);
  });

  it('is whole for a client that leaves at [DONE]', async () => {
    upstream.answer = ({ response }) => {
      beginStream(response);
      response.write(says('Hello there') + USAGE_EVENT + DONE);
    };
    const stream = await client.chat.completions.create({ ...call, stream: true });
    for await (const chunk of stream) expect(chunk.choices).toHaveLength(1);
    expect(await entry()).toMatchObject(TOLD);
  });

  it('that breaks before its first event is a 502, and costs nothing', async () => {
    upstream.answer = ({ response }) => {
      beginStream(response);
      response.write('data: {"cho', () => response.destroy());
    };
    expect((await post({ stream: true })).status).toBe(502);
    expect(await entry()).toMatchObject({ prompt_tokens: 0, completion_tokens: 0 });
  });
});

describe('A client that leaves', () => {
  /** Says something, and the usage later, if it is still asked. */
  const saysUsageAfter = (ms: number, first = says('Hello there')) => {
    upstream.answer = async ({ response }) => {
      beginStream(response);
      response.write(first);
      await delay(ms);
      response.end(`${says(' and more')}${USAGE_EVENT}${DONE}`);
    };
  };

  it('after the last text pays what the upstream says', async () => {
    saysUsageAfter(300);
    const stream = await client.chat.completions.create({ ...call, stream: true });
    for await (const chunk of stream) if (chunk.id) break;
    const row = await entry();
    expect(row).toMatchObject({ prompt_tokens: 70, completion_tokens: 30, memo: 'aborted' });
    expect(row.attributes.counted).toBeUndefined();
  });

  it('before a whole answer pays for it as well', async () => {
    upstream.answer = async ({ response }) => {
      await delay(400);
      response.writeHead(200, { 'content-type': 'application/json' }).end(WHOLE);
    };
    const leave = new AbortController();
    const waiting = post({}, { signal: leave.signal }).catch(() => undefined);
    await expect.poll(() => upstream.asked.length, PATIENCE).toBe(1);
    leave.abort();
    await waiting;
    expect(await entry()).toMatchObject({ ...TOLD, memo: 'aborted' });
  });

  it('pays for the prompt and what it was sent, if the upstream takes too long', async () => {
    saysUsageAfter(60_000);
    const stream = await client.chat.completions.create({ ...call, stream: true });
    for await (const chunk of stream) if (chunk.id) break;
    const row = await entry();
    expect(row).toMatchObject({ ...COUNTED, memo: 'aborted', attributes: { counted: true } });
    await expect.poll(() => upstream.abortedCalls, PATIENCE).toBe(1);
  });

  it('pays for all of its text, though the upstream told a running count before it', async () => {
    const running = { prompt_tokens: 9, completion_tokens: 1, total_tokens: 10 };
    const first = `data: ${JSON.stringify({ choices: [], usage: running })}\n\n`;
    saysUsageAfter(60_000, first + says('one two three four five six seven'));
    const stream = await client.chat.completions.create({
      ...call,
      stream: true,
      stream_options: { include_usage: true },
    });
    for await (const chunk of stream) if (chunk.choices.length > 0) break;
    expect(await entry()).toMatchObject({ prompt_tokens: 9, completion_tokens: 7 });
  });
});

describe('An error with status 200', () => {
  it.each([
    ['a number as its code', { error: { code: 429, message: 'x' } }, '429'],
    ['a text', { error: 'model not found' }, 'error'],
    ['its code at the top', { object: 'error', message: 'x', code: 40_001 }, '40001'],
    ['half a character in its code', { error: { code: `${'x'.repeat(63)}👩` } }, 'x'.repeat(63)],
    ['a choice that failed', { choices: [{ error: { code: 502 }, message: {} }] }, '502'],
  ])('that has %s costs nothing, and is in the books', async (_, body, code) => {
    for (const stream of [false, true]) {
      await gateway.forget();
      const json = JSON.stringify(body);
      answerAs(undefined, stream ? `data: ${json}\n\n${DONE}` : json);
      await (await post({ stream })).text();
      expect(await entry()).toMatchObject({
        prompt_tokens: 0,
        completion_tokens: 0,
        attributes: { error: code },
      });
    }
  });
});
