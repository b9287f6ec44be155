import OpenAI from 'openai';
import type { ChatCompletionChunk } from 'openai/resources/chat/completions';
import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { MeteredGateway } from '../support/metered-gateway.js';

const KEYS = 'alice:laptop:sk-alice-0123456789,bob:ci:sk-bob-0123456789';
const say = (content: string) => [{ role: 'user' as const, content }];

/** So slow that a client can hang up in mid-stream. */
const TOKEN_MS = '1';
let behind: MeteredGateway;

beforeAll(async () => {
  behind = await MeteredGateway.start({
    GATEWAY_API_KEYS: 'front:front:sk-front-0123456789',
    LOOPBACK_TOKEN_MS: TOKEN_MS,
  });
});

afterAll(() => behind.stop());

describe.each(['the loopback provider', 'another gateway over HTTP'])(
  'The official client, answered by %s',
  (name) => {
    let gateway: MeteredGateway;
    let alice: OpenAI;

    beforeAll(async () => {
      gateway = await MeteredGateway.start({
        GATEWAY_API_KEYS: KEYS,
        LOOPBACK_TOKEN_MS: TOKEN_MS,
        UPSTREAM_LINGER_MS: '50',
        ...(name.startsWith('another')
          ? {
              UPSTREAM_BASE_URL: `${behind.url}/v1/`,
              UPSTREAM_API_KEY: 'sk-front-0123456789',
            }
          : {}),
      });
      const baseURL = `${gateway.url}/v1`;
      alice = new OpenAI({ baseURL, apiKey: 'sk-alice-0123456789', maxRetries: 0 });
    });
    beforeEach(() => gateway.forget());
    afterAll(() => gateway.stop());

    /** Exactly one row, with exactly these tokens. */
    async function expectRow(usage: OpenAI.CompletionUsage | null | undefined): Promise<void> {
      const [row] = await gateway.rows(1);
      expect(row).toMatchObject({
        user_id: 'alice',
        api_key_id: 'laptop',
        prompt_tokens: usage?.prompt_tokens,
        completion_tokens: usage?.completion_tokens,
        memo: null,
        attributes: null,
      });
    }

    it('has an entry with the tokens of a completion, charged to the user of the key', async () => {
      const request = { model: 'gpt-4o', messages: say('Hello there'), user: 'mallory', n: 2 };
      const completion = await alice.chat.completions.create(request);
      expect(completion.choices[1]?.message.content).toBe('You said: Hello there');
      await expectRow(completion.usage);
    });

    it('sees the usage of a stream if it asked, and the entry has the same', async () => {
      const stream = await alice.chat.completions.create({
        model: 'gpt-4o',
        messages: say('Grüße, 👩‍👩‍👧!'),
        stream: true,
        stream_options: { include_usage: true },
      });
      const chunks: ChatCompletionChunk[] = [];
      for await (const chunk of stream) chunks.push(chunk);
      expect(textOf(chunks)).toBe('You said: Grüße, 👩‍👩‍👧!');
      expect(chunks.at(-1)?.usage?.completion_tokens).toBeGreaterThan(5);
      await expectRow(chunks.at(-1)?.usage);
    });

    it('sees no usage in a stream if it did not ask, and the entry has it', async () => {
      const stream = alice.chat.completions.stream({
        model: 'gpt-4o',
        messages: say('Hello there'),
      });
      const chunks: ChatCompletionChunk[] = [];
      for await (const chunk of stream) chunks.push(chunk);
      expect(textOf(chunks)).toBe('You said: Hello there');
      expect(chunks.every((chunk) => !('usage' in chunk) && chunk.choices.length === 1)).toBe(true);
      await expectRow({ prompt_tokens: 9, completion_tokens: 5, total_tokens: 14 });
    });

    it('pays for the prompt and what it was sent when it aborts in mid-stream', async () => {
      const messages = say('word '.repeat(2_000));
      const stream = await alice.chat.completions.create({
        model: 'gpt-4o',
        messages,
        stream: true,
      });
      let seen = 0;
      for await (const chunk of stream) {
        seen += chunk.choices[0]?.delta.content ? 1 : 0;
        if (seen === 5) break;
      }
      const [row] = await gateway.rows(1);
      // The provider stops there and reports its usage; another server is cut off, and its text counted.
      const attributes = name.startsWith('another') ? { counted: true } : null;
      expect(row).toMatchObject({ memo: 'aborted', attributes });
      expect(row.prompt_tokens).toBeGreaterThanOrEqual(2_000);
      expect(row.completion_tokens).toBeGreaterThanOrEqual(seen);
      expect(row.completion_tokens).toBeLessThan(2_000);
    });

    it('gets the errors that it knows: a wrong key, a wrong field', async () => {
      const baseURL = `${gateway.url}/v1`;
      const nobody = new OpenAI({ baseURL, apiKey: 'sk-nobody-0123456789', maxRetries: 0 });
      const asked = { model: 'gpt-4o', messages: say('Hi') };
      const refused = await nobody.chat.completions.create(asked).catch((e: unknown) => e);
      expect(refused).toBeInstanceOf(OpenAI.AuthenticationError);
      expect(refused).toMatchObject({ status: 401, code: 'invalid_api_key' });
      const wrong = await alice.chat.completions
        .create({ ...asked, n: 0 })
        .catch((e: unknown) => e);
      expect(wrong).toBeInstanceOf(OpenAI.BadRequestError);
      expect(wrong).toMatchObject({ param: 'n', type: 'invalid_request_error' });
      // A call without a caller is not recorded; the invalid one is recorded for Alice.
      const [row] = await gateway.rows(1);
      expect(row).toMatchObject({ user_id: 'alice', prompt_tokens: 0, completion_tokens: 0 });
      const error = name.startsWith('another') ? 'invalid_request_error' : 'refused';
      expect(row.attributes).toEqual({ status: 400, error });
    });

    it('has 200 entries with the tokens of 200 calls at the same time', async () => {
      const told = await Promise.all(
        Array.from({ length: 200 }, async (_, index) => {
          const messages = say(`call number ${'very '.repeat(index % 7)}${index}`);
          const call = { model: `model-${index}`, messages };
          if (index % 2) return (await alice.chat.completions.create(call)).usage;
          const options = { stream: true, stream_options: { include_usage: true } } as const;
          const stream = await alice.chat.completions.create({ ...call, ...options });
          let usage: OpenAI.CompletionUsage | null | undefined;
          for await (const chunk of stream) usage = chunk.usage;
          return usage;
        }),
      );
      const rows = await gateway.rows(200);
      const found = new Map(rows.map((row) => [row.model, row]));
      told.forEach((usage, index) => {
        expect(usage?.completion_tokens).toBeGreaterThan(0);
        expect(found.get(`model-${index}`)).toMatchObject({
          prompt_tokens: usage?.prompt_tokens,
          completion_tokens: usage?.completion_tokens,
          attributes: null,
        });
      });
    });

    it('reads its own usage and no one else’s', async () => {
      const { usage } = await alice.chat.completions.create({
        model: 'gpt-4o',
        messages: say('Hello there'),
      });
      await gateway.rows(1);
      const read = async (path: string, key: string) => {
        const headers = { authorization: `Bearer ${key}` };
        const response = await fetch(`${gateway.url}/v1/usage/${path}`, { headers });
        return { status: response.status, body: (await response.json()) as any };
      };
      const own = await read('summary', 'sk-alice-0123456789');
      expect(own.body).toMatchObject({ consumedTokens: usage?.total_tokens, entries: 1 });
      expect((await read('entries?userId=alice', 'sk-alice-0123456789')).status).toBe(200);
      expect((await read('summary', 'sk-bob-0123456789')).body).toMatchObject({ entries: 0 });
      for (const path of ['summary?userId=alice', 'entries?userId=alice']) {
        expect((await read(path, 'sk-bob-0123456789')).status).toBe(403);
        expect((await read(path, 'sk-nobody-0123456789')).status).toBe(401);
      }
      const disguised = await fetch(`${gateway.url}/%76%31/usage/summary?userId=alice`);
      expect(disguised.status).toBe(401);
    });
  },
);

function textOf(chunks: readonly ChatCompletionChunk[]): string {
  return chunks.map((chunk) => chunk.choices[0]?.delta.content ?? '').join('');
}
