import OpenAI from 'openai';
import { gzipSync } from 'node:zlib';
import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { MeteredGateway } from '../support/metered-gateway.js';
import { beginStream, UpstreamServer } from '../support/upstream-server.js';

const upstream = new UpstreamServer();
const model = 'gpt-4o';
const USAGE = { prompt_tokens: 70, completion_tokens: 30, total_tokens: 100 };
const RESPONSE_USAGE = {
  input_tokens: 70,
  input_tokens_details: { cached_tokens: 64 },
  output_tokens: 30,
  output_tokens_details: { reasoning_tokens: 20 },
  total_tokens: 100,
};
const response = {
  id: 'resp_1',
  object: 'response',
  model,
  output: [{ type: 'message', content: [{ type: 'output_text', text: 'Hello there' }] }],
};

let gateway: MeteredGateway;
let client: OpenAI;

beforeAll(async () => {
  gateway = await MeteredGateway.start({
    UPSTREAM_BASE_URL: await upstream.listen(),
    UPSTREAM_LINGER_MS: '200',
    UPSTREAM_PASS_THROUGH: '/moderations,/audio/',
  });
  client = new OpenAI({ baseURL: `${gateway.url}/v1`, apiKey: 'sk-client-own', maxRetries: 0 });
});

beforeEach(async () => {
  await gateway.forget();
  upstream.asked.length = 0;
});

afterAll(async () => {
  await gateway?.stop();
  await upstream.close();
});

const entry = async () => (await gateway.rows(1))[0];
const told = { prompt_tokens: 70, completion_tokens: 30, memo: null };
const answer = (body: object) => {
  upstream.answer = ({ response: to }) => {
    to.writeHead(200, { 'content-type': 'application/json' }).end(JSON.stringify(body));
  };
};
const answerEvents = (events: readonly object[]) => {
  upstream.answer = ({ response: to }) => {
    beginStream(to);
    // No end of the connection: the last event says that it is over.
    to.write(events.map((event) => `data: ${JSON.stringify(event)}\n\n`).join(''));
  };
};

describe('The Responses API', () => {
  it('is booked by the usage of the whole answer', async () => {
    answer({ ...response, usage: RESPONSE_USAGE });
    const answered = await client.responses.create({ model, input: 'Hello' });
    expect(answered.output_text).toBe('Hello there');
    const row = await entry();
    expect(row).toMatchObject({ ...told, attributes: { endpoint: 'responses' } });
    expect(JSON.stringify(row)).toMatch(/64.*20|20.*64/);
  });

  it('is booked by the last event of a stream, which is its end', async () => {
    const completed = { ...response, usage: RESPONSE_USAGE };
    answerEvents([
      { type: 'response.created', response },
      {
        type: 'response.output_text.delta',
        output_index: 0,
        content_index: 0,
        delta: 'Hello there',
      },
      { type: 'response.completed', response: completed },
    ]);
    const types: string[] = [];
    for await (const event of await client.responses.create({ model, input: 'Hi', stream: true })) {
      types.push(event.type);
    }
    expect(types.at(-1)).toBe('response.completed');
    expect(await entry()).toMatchObject(told);
    expect(upstream.asked[0]?.body).toEqual({ model, input: 'Hi', stream: true });
  });

  it('is counted once where its stream tells no usage', async () => {
    answerEvents([
      { type: 'response.output_text.delta', output_index: 0, content_index: 0, delta: 'Hello' },
      { type: 'response.output_text.delta', output_index: 0, content_index: 0, delta: ' there' },
      { type: 'response.output_text.done', text: 'Hello there' },
      { type: 'response.completed', response },
    ]);
    const stream = await client.responses.create({ model, input: 'Hi', stream: true });
    for await (const event of stream) expect(event.type).toMatch(/^response/);
    expect(await entry()).toMatchObject({ completion_tokens: 2, attributes: { counted: true } });
  });

  it('that fails costs nothing, and says why', async () => {
    const error = { code: 'server_error', message: 'x' };
    answerEvents([{ type: 'response.failed', response: { ...response, output: [], error } }]);
    const stream = await client.responses.create({ model, input: 'Hi', stream: true });
    for await (const event of stream) expect(event.type).toBe('response.failed');
    expect(await entry()).toMatchObject({
      prompt_tokens: 0,
      attributes: { error: 'server_error' },
    });
  });
});

describe('The older completions', () => {
  it('are booked whole, and as a stream whose usage is asked for', async () => {
    const choices = [{ index: 0, text: 'Hello there', finish_reason: 'stop' }];
    answer({ id: 'cmpl-1', object: 'text_completion', model, choices, usage: USAGE });
    await client.completions.create({ model, prompt: 'Hello' });
    expect(await entry()).toMatchObject({ ...told, attributes: { endpoint: 'completions' } });
    await gateway.forget();
    upstream.answer = ({ response: to }) => {
      beginStream(to);
      const chunks = [{ choices }, { choices: [], usage: USAGE }];
      to.end(
        chunks.map((each) => `data: ${JSON.stringify(each)}\n\n`).join('') + 'data: [DONE]\n\n',
      );
    };
    const stream = await client.completions.create({ model, prompt: ['Hi'], stream: true });
    for await (const chunk of stream) expect(chunk.choices[0]?.text).toBe('Hello there');
    expect(upstream.asked.at(-1)?.body.stream_options).toEqual({ include_usage: true });
    expect(await entry()).toMatchObject(told);
  });

  it('are counted if an answer has no usage, also those of a prompt that consists of numbers', async () => {
    answer({ model, choices: [{ index: 0, text: 'Hello there' }] });
    await client.completions.create({ model, prompt: [[1, 2, 3], [4]] });
    expect(await entry()).toMatchObject({ prompt_tokens: 4, completion_tokens: 2 });
  });
});

describe('Embeddings', () => {
  it('are booked with a prompt alone, told or counted', async () => {
    const data = [{ object: 'embedding', index: 0, embedding: [0.1] }];
    answer({ object: 'list', model, data, usage: { prompt_tokens: 8, total_tokens: 8 } });
    await client.embeddings.create({ model, input: 'Hello there', encoding_format: 'float' });
    expect(await entry()).toMatchObject({
      prompt_tokens: 8,
      completion_tokens: 0,
      attributes: { endpoint: 'embeddings' },
    });
    await gateway.forget();
    answer({ object: 'list', model, data });
    await client.embeddings.create({ model, input: ['Hello', ' there'], encoding_format: 'float' });
    expect(await entry()).toMatchObject({
      prompt_tokens: 2,
      completion_tokens: 0,
      attributes: { counted: true },
    });
  });

  it('are counted where the upstream reports zeros', async () => {
    const data = [{ object: 'embedding', index: 0, embedding: [0.1] }];
    answer({ object: 'list', model, data, usage: { prompt_tokens: 0, total_tokens: 0 } });
    const input = ['Hello', ' there'];
    await client.embeddings.create({ model, input, encoding_format: 'float' });
    expect(await entry()).toMatchObject({
      prompt_tokens: 2,
      completion_tokens: 0,
      attributes: { endpoint: 'embeddings', counted: true },
    });
  });
});

describe('Models', () => {
  it('are listed and named as the upstream has them, and booked without tokens', async () => {
    answer({ object: 'list', data: [{ id: model, object: 'model' }] });
    expect((await client.models.list()).data[0]?.id).toBe(model);
    answer({ id: 'org/model', object: 'model' });
    expect((await client.models.retrieve('org/model')).id).toBe('org/model');
    expect(upstream.asked.map(({ url }) => url)).toEqual(['/v1/models', '/v1/models/org%2Fmodel']);
    for (const row of await gateway.rows(2)) {
      expect(row).toMatchObject({ prompt_tokens: 0, attributes: { endpoint: 'models' } });
    }
  });
});

describe('Other paths', () => {
  it('are passed through if they are allowed, bodies of other types as they are', async () => {
    answer({ text: 'Hello there' });
    const file = new File([Buffer.from([0, 255, 13, 10])], 'a.wav', { type: 'audio/wav' });
    const heard = await client.audio.transcriptions.create({ model: 'whisper-1', file });
    expect(heard.text).toBe('Hello there');
    const [asked] = upstream.asked;
    expect(asked?.headers['content-type']).toMatch(/^multipart\/form-data; boundary=/);
    expect(await entry()).toMatchObject({ prompt_tokens: 0, attributes: { endpoint: 'audio' } });
    await gateway.forget();
    answer({ results: [] });
    await client.moderations.create({ model: 'omni', input: 'x' });
    expect(await entry()).toMatchObject({ model: 'omni', attributes: { endpoint: 'moderations' } });
  });

  it.each([
    '/v1/files',
    '/v1/audio/../files',
    '/v1/audio/%2e%2e/files',
    '/v1/audio/%252e%252e/files',
    '/v1/audio/%25252e.%2525252ffiles',
    '/v1/moderations-of-others',
    '/v1/usage/moderations',
  ])('as %s are not there otherwise, and nobody’s call', async (path) => {
    const { status } = await fetch(gateway.url + path, { method: 'GET' });
    expect(status).toBe(404);
    expect(upstream.asked).toHaveLength(0);
    await gateway.rows(0);
  });
});

describe('A request', () => {
  it('is passed on as it was written, but for the one field that asks for the usage', async () => {
    answer({ choices: [], usage: USAGE });
    const text = `{ "zeta": 1.0, "messages":[{"role":"model","content":"\\u0048i"}], "big": 12345678901234567890,
      "model":"gpt-4o", "zeta": 2, "user": null, "stream": true, "stop": ["a","b","c","d","e"] }`;
    const raw: string[] = [];
    const { answer: before } = upstream;
    upstream.answer = (asked) => {
      raw.push(asked.text);
      before(asked);
    };
    const send = (body: string) =>
      fetch(`${gateway.url}/v1/chat/completions`, {
        method: 'POST',
        headers: { 'content-type': 'application/json' },
        body,
      });
    expect((await send(text)).status).toBe(200);
    expect(raw[0]?.replace('"stream_options":{"include_usage":true},', '')).toBe(text);
    const plain = text.replace('"stream": true', '"stream": false');
    expect((await send(plain)).status).toBe(200);
    expect(raw[1]).toBe(plain);
    await gateway.rows(2);
  });

  it('that is packed is refused with 415, and booked', async () => {
    const { status } = await fetch(`${gateway.url}/v1/chat/completions`, {
      method: 'POST',
      headers: { 'content-type': 'application/json', 'content-encoding': 'gzip' },
      body: gzipSync('{}'),
    });
    expect(status).toBe(415);
    expect(await entry()).toMatchObject({ attributes: { status: 415, error: 'refused' } });
  });
});
