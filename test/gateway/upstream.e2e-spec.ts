import { once } from 'node:events';
import { connect } from 'node:net';
import OpenAI from 'openai';
import { afterAll, beforeAll, beforeEach, describe, expect, it, vi } from 'vitest';
import { MeteredGateway } from '../support/metered-gateway.js';
import { beginStream, says, UpstreamServer } from '../support/upstream-server.js';
import { PATIENCE } from '../support/patience.js';

const upstream = new UpstreamServer();
const messages = [{ role: 'user' as const, content: 'Hello there' }];
const PROMPT_TOKENS = 9;
const call = { model: 'gpt-4o', messages };
const USAGE = { prompt_tokens: 70, completion_tokens: 30, total_tokens: 100 };
const USAGE_EVENT = `data: {"choices":[],"usage":${JSON.stringify(USAGE)}}\n\n`;

let gateway: MeteredGateway;
let client: OpenAI;

beforeAll(async () => {
  gateway = await MeteredGateway.start({
    UPSTREAM_BASE_URL: await upstream.listen(),
    UPSTREAM_API_KEY: 'sk-upstream',
    UPSTREAM_TIMEOUT_MS: '1500',
    UPSTREAM_LINGER_MS: '200',
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
    headers: { 'content-type': 'application/json', authorization: 'Bearer sk-client-own' },
    body: JSON.stringify({ ...call, ...body }),
    ...init,
  });
}

const entry = async () => (await gateway.rows(1))[0];

describe('The gateway in front of an upstream', () => {
  it('passes headers on both ways, but no credentials and nothing of one connection', async () => {
    upstream.answer = ({ response }) => {
      const headers = { 'x-request-id': 'r1', 'retry-after': '7', 'set-cookie': 'a=b' };
      response.writeHead(200, { 'content-type': 'application/json', ...headers });
      response.end(JSON.stringify({ choices: [], usage: USAGE }));
    };
    const headers = {
      'content-type': 'application/json',
      authorization: 'Bearer sk-client-own',
      cookie: 'session=1',
      'openai-organization': 'org-1',
      'x-forwarded-for': '10.0.0.1',
      'idempotency-key': 'once',
    };
    const answer = await post({ seed: 5 }, { headers });
    expect(answer.headers.get('x-request-id')).toBe('r1');
    expect(answer.headers.get('retry-after')).toBe('7');
    expect(answer.headers.get('set-cookie')).toBeNull();
    const [asked] = upstream.asked;
    expect(asked?.headers).toMatchObject({
      authorization: 'Bearer sk-upstream',
      'idempotency-key': 'once',
      'accept-encoding': 'identity',
    });
    expect(Object.keys(asked?.headers ?? {})).not.toEqual(
      expect.arrayContaining([expect.stringMatching(/^(cookie|openai-org|x-forwarded)/)]),
    );
    expect(asked?.body).toEqual({ ...call, seed: 5 });
    expect(await entry()).toMatchObject({ prompt_tokens: 70, completion_tokens: 30 });
  });

  it('books a call that is repeated and answered the same once, any other answer again', async () => {
    upstream.answer = ({ response, body }) => {
      response.writeHead(200, { 'content-type': 'application/json' });
      const { seed } = body as { seed: number };
      response.end(JSON.stringify({ id: `chatcmpl-${seed}`, choices: [], usage: USAGE }));
    };
    const headers = { 'content-type': 'application/json', 'idempotency-key': 'retry-1' };
    for (const seed of [1, 1, 2, 1]) await (await post({ seed }, { headers })).text();
    // The key is the client's: another one's is another key.
    const other = { ...headers, authorization: 'Bearer sk-other' };
    await (await post({ seed: 1 }, { headers: other })).text();
    const rows = await gateway.rows(3);
    expect(rows.map((row) => row.prompt_tokens)).toEqual([70, 70, 70]);
    expect(await gateway.settledStats()).toMatchObject({ conflicts: 0 });
  });

  it('asks a stream for its usage, hides it again, and keeps the rest byte by byte', async () => {
    const text = says('Grüße 👩', 0, '\r\n\r\n') + ': ping\r\n\r\n' + says('b', 1);
    const bytes = Buffer.from(`${text}${USAGE_EVENT}data: [DONE]\n\n`);
    upstream.answer = async ({ response }) => {
      beginStream(response);
      for (const byte of bytes) {
        response.write(Buffer.of(byte));
        await new Promise(setImmediate);
      }
      response.end();
    };
    const answer = await post({ stream: true, n: 2, stream_options: { include_usage: false } });
    expect(await answer.text()).toBe(`${text}data: [DONE]\n\n`);
    expect(upstream.asked[0]?.body.stream_options).toEqual({ include_usage: true });
    expect(await entry()).toMatchObject({
      prompt_tokens: 70,
      completion_tokens: 30,
      attributes: { requestId: 'req_1' },
    });
  });

  it('counts a stream without usage and without [DONE], tool calls too, and says so', async () => {
    const tool = { index: 0, function: { name: 'look', arguments: '{"at":"moon"}' } };
    const chunk = { choices: [{ index: 1, delta: { tool_calls: [tool] } }] };
    upstream.answer = ({ response }) => {
      beginStream(response);
      response.end(`${says('Hello there')}data: ${JSON.stringify(chunk)}\n\n`);
    };
    const answer = await post({ stream: true });
    expect(await answer.text()).toContain('moon');
    const row = await entry();
    expect(row).toMatchObject({ prompt_tokens: PROMPT_TOKENS, attributes: { counted: true } });
    // "Hello", " there", "look", and at least a token for each sign of the arguments' ends.
    expect(row.completion_tokens).toBeGreaterThan(5);
  });

  it('counts an answer whose usage is missing or nonsense', async () => {
    upstream.answer = ({ response }) => {
      response.writeHead(200, { 'content-type': 'application/json' });
      const choices = [{ message: { role: 'assistant', content: 'Hello there' } }];
      response.end(JSON.stringify({ choices, usage: { prompt_tokens: -1 } }));
    };
    await client.chat.completions.create(call);
    expect(await entry()).toMatchObject({
      prompt_tokens: PROMPT_TOKENS,
      completion_tokens: 2,
      attributes: { counted: true },
    });
  });

  it('passes an error on as it is and meters it as what it was', async () => {
    const error = { message: 'Slow down.', type: 'requests', param: null, code: 'rate_limit' };
    upstream.answer = ({ response }) => {
      response.writeHead(429, { 'content-type': 'application/json', 'retry-after': '3' });
      response.end(JSON.stringify({ error }));
    };
    for (const stream of [false, true]) {
      await gateway.forget();
      const refused = await client.chat.completions
        .create({ ...call, stream })
        .catch((e: unknown) => e as InstanceType<typeof OpenAI.APIError>);
      expect(refused).toBeInstanceOf(OpenAI.RateLimitError);
      expect(refused).toMatchObject({ status: 429, code: 'rate_limit', error });
      expect(await entry()).toMatchObject({
        prompt_tokens: 0,
        completion_tokens: 0,
        attributes: { status: 429, error: 'rate_limit' },
      });
    }
  });

  it.each([
    ['is no JSON', '{"choices":['],
    ['is null', 'null'],
    ['has choices that are none', '{"choices":7}'],
  ])('passes on an answer that %s, and records the call', async (_, body) => {
    upstream.answer = ({ response }) => {
      response.writeHead(200, { 'content-type': 'application/json' }).end(body);
    };
    const answer = await post({});
    expect([answer.status, await answer.text()]).toEqual([200, body]);
    expect(await entry()).toMatchObject({
      prompt_tokens: PROMPT_TOKENS,
      attributes: { counted: true, error: 'unreadable_answer' },
    });
  });

  it('breaks off where the upstream broke off, and charges what was sent', async () => {
    upstream.answer = ({ response }) => {
      beginStream(response);
      response.write(says('Hello there'), () => setTimeout(() => response.destroy(), 50));
    };
    const stream = await client.chat.completions.create({ ...call, stream: true });
    const read = async () => {
      for await (const chunk of stream) expect(chunk.choices).toHaveLength(1);
    };
    await expect(read()).rejects.toThrow();
    expect(await entry()).toMatchObject({
      prompt_tokens: PROMPT_TOKENS,
      completion_tokens: 2,
      memo: 'failed',
      attributes: { counted: true, error: 'upstream_broke_off' },
    });
  });

  it('answers 504 for an upstream that never does, and 502 for one that hangs up', async () => {
    upstream.answer = () => undefined;
    const late = await client.chat.completions.create(call).catch((e: unknown) => e);
    expect(late).toMatchObject({ status: 504, code: 'upstream_timeout' });
    expect(await entry()).toMatchObject({
      prompt_tokens: 0,
      memo: 'failed',
      attributes: { status: 504, error: 'upstream_failed' },
    });
    await gateway.forget();
    upstream.answer = ({ response }) => response.destroy();
    const gone = await client.chat.completions.create(call).catch((e: unknown) => e);
    expect(gone).toMatchObject({ status: 502, code: 'upstream_failed' });
    expect(await entry()).toMatchObject({ attributes: { status: 502 } });
  });

  it('ends the call upstream when the client leaves, before the answer and in it', async () => {
    upstream.answer = () => undefined;
    const leave = new AbortController();
    const waiting = post({}, { signal: leave.signal }).catch(() => undefined);
    await vi.waitFor(() => expect(upstream.asked).toHaveLength(1), PATIENCE);
    leave.abort();
    await waiting;
    await vi.waitFor(() => expect(upstream.abortedCalls).toBe(1), PATIENCE);
    expect(await entry()).toMatchObject({
      prompt_tokens: 0,
      memo: 'aborted',
      attributes: { status: 499, error: 'client_left' },
    });
    await gateway.forget();
    upstream.answer = ({ response }) => {
      beginStream(response);
      response.write(says('Hello there'));
    };
    const stream = await client.chat.completions.create({ ...call, stream: true });
    for await (const chunk of stream) if (chunk.id) break;
    await vi.waitFor(() => expect(upstream.abortedCalls).toBe(2), PATIENCE);
    expect(await entry()).toMatchObject({ completion_tokens: 2, memo: 'aborted' });
  });

  it('does not take from the upstream what a slow client does not read', async () => {
    const event = says('word '.repeat(12_000));
    const total = 400 * event.length;
    let sent = 0;
    let isStalled = false;
    upstream.answer = async ({ response }) => {
      beginStream(response);
      response.setMaxListeners(0).once('close', () => (isStalled = true));
      while (sent < total && !response.destroyed) {
        sent += event.length;
        if (response.write(event)) continue;
        const stalled = setTimeout(() => (isStalled = true), 1_000);
        await Promise.race([once(response, 'drain'), once(response, 'close')]);
        clearTimeout(stalled);
      }
      response.end();
    };
    const body = JSON.stringify({ ...call, stream: true });
    const { port } = new URL(gateway.url);
    const socket = connect(Number(port), '127.0.0.1').pause();
    socket.write(
      `POST /v1/chat/completions HTTP/1.1\r\nhost: localhost\r\ncontent-type: application/json\r\n` +
        `content-length: ${body.length}\r\n\r\n${body}`,
    );
    await vi.waitFor(() => expect(isStalled).toBe(true), PATIENCE);
    // What two sockets hold, and no more; a tenth of it is far above any system's.
    expect(sent).toBeLessThan(total / 2);
    socket.destroy();
    const row = await entry();
    expect(row).toMatchObject({ memo: 'aborted', attributes: { counted: true } });
    expect(row.completion_tokens).toBeLessThan(400 * 12_000);
  });

  it('refuses a body above 16 MiB with 413, and asks nobody', async () => {
    const answer = await post({ user: 'x'.repeat(17 * 1024 * 1024) });
    expect(answer.status).toBe(413);
    expect(await answer.json()).toMatchObject({ error: { type: 'invalid_request_error' } });
    expect(upstream.asked).toHaveLength(0);
  });
});
