import { randomBytes } from 'node:crypto';
import OpenAI from 'openai';
import { afterAll, beforeAll, beforeEach, describe, expect, it, vi } from 'vitest';
import { MeteredGateway } from '../support/metered-gateway.js';
import { beginStream, says, UpstreamServer } from '../support/upstream-server.js';
import { PATIENCE } from '../support/patience.js';

const WORDS = 100_000;
/** Of a prompt of so many words: one for each, and those between the texts. */
const PROMPT_TOKENS = WORDS + 7;
const text = 'word'.concat(' word'.repeat(WORDS - 1));
const upstream = new UpstreamServer();

let upstreamUrl: string;
let gateway: MeteredGateway;
let client: OpenAI;

beforeAll(async () => {
  upstreamUrl = await upstream.listen();
  gateway = await MeteredGateway.start({
    UPSTREAM_BASE_URL: upstreamUrl,
    UPSTREAM_LINGER_MS: '100',
  });
  client = new OpenAI({ baseURL: `${gateway.url}/v1`, apiKey: 'sk-client-own', maxRetries: 0 });
});

beforeEach(() => gateway.forget());

afterAll(async () => {
  await gateway?.stop();
  await upstream.close();
});

/** Reads the first event of a stream, and leaves. */
async function leaveInMidStream(content: string): Promise<void> {
  const messages = [{ role: 'user' as const, content }];
  const stream = await client.chat.completions.create({ model: 'gpt-4o', messages, stream: true });
  for await (const chunk of stream) if (chunk.id) break;
}

/** The turns that the event loop takes while this runs. */
async function turnsDuring(work: () => Promise<unknown>): Promise<number> {
  let turns = 0;
  const count = (): void => {
    turns += 1;
    timer = setTimeout(count);
  };
  let timer = setTimeout(count);
  await work();
  clearTimeout(timer);
  return turns;
}

describe('A prompt of half a megabyte', () => {
  it('is charged when the client leaves in mid-stream, once it is counted', async () => {
    upstream.answer = ({ response }) => {
      beginStream(response);
      response.write(says('Hello there'));
    };
    await leaveInMidStream(text);
    const [row] = await gateway.rows(1);
    expect(row).toMatchObject({
      prompt_tokens: PROMPT_TOKENS,
      completion_tokens: 2,
      memo: 'aborted',
    });
    expect(row.attributes).toMatchObject({ counted: true });
  });

  it.each([true, false])(
    'is charged where the upstream tells nothing (stream %s)',
    async (stream) => {
      upstream.answer = ({ response }) => {
        if (stream) {
          beginStream(response);
          response.end(says(text) + 'data: [DONE]\n\n');
        } else {
          response.writeHead(200, { 'content-type': 'application/json' });
          response.end(JSON.stringify({ choices: [{ message: { content: text } }] }));
        }
      };
      const turns = await turnsDuring(async () => {
        const messages = [{ role: 'user' as const, content: text }];
        const call = { model: 'gpt-4o', messages, stream };
        const answer = await client.chat.completions.create(call).asResponse();
        expect((await answer.text()).length).toBeGreaterThan(text.length);
      });
      const [row] = await gateway.rows(1);
      expect(row).toMatchObject({
        prompt_tokens: PROMPT_TOKENS,
        completion_tokens: WORDS,
        memo: null,
        attributes: { counted: true },
      });
      expect(turns).toBeGreaterThan(10);
    },
  );

  it('is charged for all of an answer whose end it does not wait for', async () => {
    upstream.answer = ({ response }) => {
      beginStream(response);
      response.end(`${says(text)}data: [DONE]\n\n`);
    };
    const messages = [{ role: 'user' as const, content: 'Hi' }];
    const stream = await client.chat.completions.create({
      model: 'gpt-4o',
      messages,
      stream: true,
    });
    for await (const chunk of stream) if (chunk.choices.length > 0) break;
    const [row] = await gateway.rows(1);
    expect(row).toMatchObject({ prompt_tokens: 8, completion_tokens: WORDS });
    expect(row.attributes).toMatchObject({ counted: true });
  });

  it('is charged though the client is the last one to leave a gateway that stops', async () => {
    upstream.answer = ({ response }) => {
      beginStream(response);
      response.write(says('Hello there'));
    };
    const last = await MeteredGateway.start({
      UPSTREAM_BASE_URL: upstreamUrl,
      UPSTREAM_LINGER_MS: '100',
    });
    const hangUp = new AbortController();
    const response = await fetch(`${last.url}/v1/chat/completions`, {
      method: 'POST',
      headers: { 'content-type': 'application/json' },
      body: JSON.stringify({
        model: 'gpt-4o',
        messages: [{ role: 'user', content: text }],
        stream: true,
      }),
      signal: hangUp.signal,
    });
    await response.body!.getReader().read();
    const closed = last.close();
    setTimeout(() => hangUp.abort(), 300);
    await closed;
    const [row] = await last.rows(1);
    expect(row).toMatchObject({ prompt_tokens: PROMPT_TOKENS, memo: 'aborted' });
    expect(row.attributes).toMatchObject({ counted: true });
    await last.stop();
  });

  it('is charged though the gateway is stopped while it counts', async () => {
    upstream.answer = ({ response }) => {
      beginStream(response);
      response.write(says('Hello there'));
    };
    upstream.abortedCalls = 0;
    // Nothing that was counted before helps: it takes seconds.
    await leaveInMidStream(randomBytes(500_000).toString('base64'));
    await vi.waitFor(() => expect(upstream.abortedCalls).toBe(1), PATIENCE);
    await gateway.close();
    const [row] = await gateway.rows(1);
    expect(row).toMatchObject({ memo: 'aborted', attributes: { counted: true } });
    expect(row.prompt_tokens).toBeGreaterThan(200_000);
  });
});
