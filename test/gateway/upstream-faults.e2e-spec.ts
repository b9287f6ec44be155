import OpenAI from 'openai';
import type { ServerResponse } from 'node:http';
import * as zlib from 'node:zlib';
import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { MeteredGateway } from '../support/metered-gateway.js';
import { beginStream, says, UpstreamServer } from '../support/upstream-server.js';

const upstream = new UpstreamServer();
const call = { model: 'gpt-4o', messages: [{ role: 'user' as const, content: 'Hello there' }] };
const PROMPT_TOKENS = 9;
const USAGE = { prompt_tokens: 70, completion_tokens: 30, total_tokens: 100 };
const TOLD = { prompt_tokens: 70, completion_tokens: 30 };
const COUNTED = { prompt_tokens: PROMPT_TOKENS, completion_tokens: 2 };
const SPOKEN = { choices: [{ index: 0, message: { role: 'assistant', content: 'Hello there' } }] };
const DONE = 'data: [DONE]\n\n';

const { zstdCompressSync } = zlib as { zstdCompressSync?: (text: string) => Buffer };
const packedThrice = (text: string): Buffer =>
  zlib.gzipSync(zlib.deflateRawSync(zlib.brotliCompressSync(text)));

let gateway: MeteredGateway;
let client: OpenAI;

beforeAll(async () => {
  gateway = await MeteredGateway.start({
    UPSTREAM_BASE_URL: await upstream.listen(),
    UPSTREAM_TIMEOUT_MS: '1500',
  });
  client = new OpenAI({ baseURL: `${gateway.url}/v1`, apiKey: 'sk-client-own', maxRetries: 0 });
});

beforeEach(async () => {
  await gateway.forget();
  upstream.asked.length = 0;
});

afterAll(async () => {
  const stats = await gateway.settledStats();
  expect(stats).toMatchObject({ written: stats.offered, depth: 0, inFlight: 0 });
  await gateway.stop();
  await upstream.close();
});

function post(body: object): Promise<Response> {
  return fetch(`${gateway.url}/v1/chat/completions`, {
    method: 'POST',
    headers: { 'content-type': 'application/json' },
    body: JSON.stringify({ ...call, ...body }),
  });
}

const entry = async () => (await gateway.rows(1))[0];

function answerJson(response: ServerResponse, status: number, body: object, headers = {}): void {
  response.writeHead(status, { 'content-type': 'application/json', ...headers });
  response.end(JSON.stringify(body));
}

describe('An upstream that refuses to tell the usage of a stream', () => {
  it.each([
    [400, { error: { message: 'Unknown parameter.', param: 'stream_options' } }],
    [422, { detail: [{ loc: ['body', 'stream_options'], type: 'extra_forbidden' }] }],
    [422, { message: "unknown field: parameter 'stream_options' is not a valid field." }],
  ])('with %i is asked again without, and the stream is counted', async (status, refusal) => {
    upstream.answer = ({ body, response }) => {
      if (body.stream_options) return answerJson(response, status, refusal);
      beginStream(response);
      response.end(says('Hello there') + DONE);
    };
    const answer = await post({ stream: true });
    expect([answer.status, await answer.text()]).toEqual([200, says('Hello there') + DONE]);
    expect(upstream.asked.map(({ body }) => 'stream_options' in body)).toEqual([true, false]);
    expect(await entry()).toMatchObject({ ...COUNTED, attributes: { counted: true }, memo: null });
  });

  it('has its answer passed on if the client asked for usage, or for something else', async () => {
    const error = { message: 'no stream_options', type: 'invalid_request_error', code: null };
    upstream.answer = ({ response }) => answerJson(response, 400, { error });
    const asked = { stream: true, stream_options: { include_usage: true } };
    const answer = await post(asked);
    expect([answer.status, await answer.json()]).toEqual([400, { error }]);
    expect(upstream.asked).toHaveLength(1);
    expect(await entry()).toMatchObject({ prompt_tokens: 0, attributes: { status: 400 } });
    await gateway.forget();
    const other = { message: 'too long', type: 'invalid_request_error', code: 'length' };
    upstream.answer = ({ response }) => answerJson(response, 400, { error: other });
    const refused = await post({ stream: true });
    expect([refused.status, await refused.json()]).toEqual([400, { error: other }]);
    expect(upstream.asked).toHaveLength(2);
    expect((await entry()).attributes).toEqual({ status: 400, error: 'length' });
  });

  it('twice has its second answer passed on', async () => {
    const error = { message: 'stream_options', code: 'no' };
    upstream.answer = ({ response }) => answerJson(response, 400, { error });
    expect((await post({ stream: true })).status).toBe(400);
    expect(upstream.asked).toHaveLength(2);
    expect((await entry()).attributes).toEqual({ status: 400, error: 'no' });
  });
});

describe('An upstream that packs its answers though nobody asked', () => {
  it.each([
    ['gzip', zlib.gzipSync],
    ['x-gzip', zlib.gzipSync],
    ['GZIP', zlib.gzipSync],
    ['deflate', zlib.deflateSync],
    // Half of the servers leave out its head.
    ['deflate', zlib.deflateRawSync],
    ['br', zlib.brotliCompressSync],
    ['gzip, br', (text: string) => zlib.brotliCompressSync(zlib.gzipSync(text))],
    ['br,deflate ,gzip', packedThrice],
    ['identity', Buffer.from],
    // Of Node 22 and later; before, such an answer is passed on as it is.
    ...(zstdCompressSync ? [['zstd', zstdCompressSync] as const] : []),
  ] as const)('with %s is read, and passed on unpacked', async (encoding, pack) => {
    const body = { ...SPOKEN, usage: USAGE };
    upstream.answer = ({ response }) => {
      const headers = { 'content-type': 'application/json', 'content-encoding': encoding };
      response.writeHead(200, headers).end(pack(JSON.stringify(body)));
    };
    const answer = await post({});
    expect(answer.headers.get('content-encoding')).toBeNull();
    expect(await answer.json()).toEqual(body);
    expect(await entry()).toMatchObject({ ...TOLD, attributes: null });
  });

  it('has the events of its stream passed on one by one', async () => {
    upstream.answer = ({ response }) => {
      const headers = { 'content-type': 'text/event-stream', 'content-encoding': 'gzip' };
      response.writeHead(200, headers);
      const pack = zlib.createGzip();
      pack.pipe(response);
      pack.write(says('Hello'));
      // The rest comes only after the client had the first.
      pack.flush(() => (goOn = () => pack.end(says(' there') + DONE)));
    };
    let goOn: () => void = () => undefined;
    const stream = await client.chat.completions.create({ ...call, stream: true });
    let said = '';
    for await (const chunk of stream) {
      said += chunk.choices[0]?.delta.content ?? '';
      goOn();
    }
    expect(said).toBe('Hello there');
    expect(await entry()).toMatchObject({ ...COUNTED, attributes: { counted: true } });
  });

  it.each([
    ['cut short', 'gzip', zlib.gzipSync(JSON.stringify(SPOKEN)).subarray(0, 30)],
    ['of another kind', 'gzip', Buffer.from(JSON.stringify(SPOKEN))],
  ])('but %s is answered with 502', async (_, encoding, bytes) => {
    upstream.answer = ({ response }) => {
      const headers = { 'content-type': 'application/json', 'content-encoding': encoding };
      response.writeHead(200, headers).end(bytes);
    };
    expect((await post({})).status).toBe(502);
    expect((await entry()).attributes).toEqual({ status: 502, error: 'upstream_failed' });
  });

  it.each(['zstd-of-tomorrow', 'constructor', 'gzip, gzip, gzip, gzip'])(
    'with %s is passed on unread',
    async (encoding) => {
      upstream.answer = ({ response }) => {
        const headers = { 'content-type': 'application/json', 'content-encoding': encoding };
        response.writeHead(200, headers).end('packed');
      };
      const answer = await post({});
      expect(answer.headers.get('content-encoding')).toBe(encoding);
      expect((await entry()).attributes).toEqual({ counted: true, error: 'unreadable_answer' });
    },
  );
});

describe('A stream of odd events', () => {
  /** A chunk over several `data` lines. */
  const spread = says('Hello there').replace('data: ', '').trim().replace('{', '{\ndata: ');
  it.each([
    ['with CRLF', says('Hello there', 0, '\r\n\r\n') + 'data: [DONE]\r\n\r\n'],
    ['with CR', says('Hello there', 0, '\r\r') + 'data: [DONE]\r\r'],
    ['without [DONE]', says('Hello there')],
    ['without an end to its last event', says('Hello there', 0, '')],
    ['with comments and names', `: hello\n\nevent: chunk\nid: 1\n${says('Hello there')}${DONE}`],
    ['with data over several lines', `data: ${spread}\n\n${DONE}`],
    ['with garbage between', `data: {"cho\n\n\u0000\u0001\n\n${says('Hello there')}data: 7\n\n`],
    ['of two choices', says('Hello') + says(' there', 1) + DONE],
  ])('%s is passed on as it is, and counted', async (_, sent) => {
    upstream.answer = ({ response }) => {
      beginStream(response);
      response.end(sent);
    };
    const answer = await post({ stream: true, n: 2 });
    expect([answer.status, await answer.text()]).toEqual([200, sent]);
    expect(await entry()).toMatchObject({ ...COUNTED, attributes: { counted: true }, memo: null });
  });

  it('whose line has no end is broken off before it fills the memory', async () => {
    const piece = Buffer.alloc(1024 * 1024, 'x');
    let sent = 0;
    upstream.answer = ({ response }) => {
      beginStream(response);
      response.write(`${says('Hello there')}data: `);
      const more = () => {
        for (sent += 1; sent < 64 && response.write(piece);) sent += 1;
        if (sent < 64) response.once('drain', more);
      };
      more();
    };
    const answer = await post({ stream: true });
    await expect(answer.text()).rejects.toThrow();
    expect(sent).toBeLessThan(64);
    const attributes = { counted: true, error: 'upstream_broke_off' };
    expect(await entry()).toMatchObject({ ...COUNTED, attributes, memo: 'failed' });
  });

  it('that falls silent is broken off, and charged until there', async () => {
    upstream.answer = ({ response }) => {
      beginStream(response);
      response.write(says('Hello there'));
    };
    const answer = await post({ stream: true });
    await expect(answer.text()).rejects.toThrow();
    const attributes = { counted: true, error: 'upstream_broke_off' };
    expect(await entry()).toMatchObject({ ...COUNTED, attributes, memo: 'failed' });
  });

  it('that tells of an error is passed on, and its error is in the books', async () => {
    const error = { message: 'overloaded', type: 'server_error', code: null };
    upstream.answer = ({ response }) => {
      beginStream(response);
      response.end(`${says('Hello there')}data: ${JSON.stringify({ error })}\n\n`);
    };
    const answer = await post({ stream: true });
    expect(await answer.text()).toContain('overloaded');
    expect((await entry()).attributes).toMatchObject({ counted: true, error: 'server_error' });
  });
});

it.each([401, 403, 404, 408, 429, 500, 503])('An error %i is passed on whole', async (status) => {
  const error = { message: 'No.', type: 'requests', param: null, code: `code_${status}` };
  const headers = { 'retry-after': '3', 'x-request-id': 'r' };
  // The gateway's own account, and what is not for this browser.
  const own = {
    'openai-organization': 'org-1',
    'x-ratelimit-remaining-requests': '0',
    'access-control-allow-origin': '*',
    'clear-site-data': '"*"',
  };
  upstream.answer = ({ response }) =>
    answerJson(response, status, { error }, { ...headers, ...own });
  for (const stream of [false, true]) {
    await gateway.forget();
    const answer = await post({ stream });
    expect([answer.status, await answer.json()]).toEqual([status, { error }]);
    expect(Object.fromEntries(answer.headers)).toMatchObject(headers);
    for (const name of Object.keys(own)) expect(answer.headers.has(name)).toBe(false);
    expect(await entry()).toMatchObject({
      prompt_tokens: 0,
      completion_tokens: 0,
      attributes: { status, error: `code_${status}` },
    });
  }
});

it('A status that there is not is no answer, and costs nothing', async () => {
  upstream.answer = ({ response }) => answerJson(response, 999, { ...SPOKEN, usage: USAGE });
  for (const stream of [false, true]) {
    await gateway.forget();
    const answer = await post({ stream });
    expect([answer.status, await answer.json()]).toMatchObject([
      502,
      { error: { code: 'upstream_failed' } },
    ]);
    expect(await entry()).toMatchObject({
      prompt_tokens: 0,
      completion_tokens: 0,
      attributes: { status: 502, error: 'upstream_failed' },
    });
  }
});
