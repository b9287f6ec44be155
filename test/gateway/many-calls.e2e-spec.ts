import OpenAI from 'openai';
import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { assertConservation } from '../../libs/ledger/src/testing/ledger-under-test.js';
import { MeteredGateway } from '../support/metered-gateway.js';
import { beginStream, UpstreamServer, type Asked } from '../support/upstream-server.js';

const CALLS = 200;
/** One caller may leave 64 calls that are read on. */
const USERS = 5;
const upstream = new UpstreamServer();
/** What the upstream still has to say, by the call's model. */
const rests = new Map<string, () => void>();
let gateway: MeteredGateway;
let client: OpenAI;

beforeAll(async () => {
  gateway = await MeteredGateway.start({
    UPSTREAM_BASE_URL: await upstream.listen(),
    // So long that no call is cut off before its usage comes.
    UPSTREAM_LINGER_MS: '60000',
  });
  client = new OpenAI({ baseURL: `${gateway.url}/v1`, apiKey: 'sk-client-own', maxRetries: 0 });
});

beforeEach(async () => {
  await gateway.forget();
  rests.clear();
  upstream.asked.length = 0;
});

afterAll(async () => {
  await gateway?.stop();
  await upstream.close();
});

interface Call {
  readonly model: string;
  readonly user: string;
}

/** Each way to call, with the official client. Streams are read to the end, or left at the first event. */
const kinds: Record<string, (call: Call, leave: AbortController | undefined) => Promise<unknown>> =
  {
    chat: (call, leave) =>
      client.chat.completions.create({ ...call, messages: [HELLO] }, signal(leave)),
    'chat as a stream': async (call, leave) =>
      read(
        await client.chat.completions.create({ ...call, messages: [HELLO], stream: true }),
        leave,
      ),
    completions: (call, leave) =>
      client.completions.create({ ...call, prompt: 'Hi' }, signal(leave)),
    'completions as a stream': async (call, leave) =>
      read(await client.completions.create({ ...call, prompt: 'Hi', stream: true }), leave),
    responses: (call, leave) => client.responses.create({ ...call, input: 'Hi' }, signal(leave)),
    'responses as a stream': async (call, leave) =>
      read(await client.responses.create({ ...call, input: 'Hi', stream: true }), leave),
    embeddings: (call, leave) =>
      client.embeddings.create({ ...call, input: 'Hi', encoding_format: 'float' }, signal(leave)),
  };
const HELLO = { role: 'user', content: 'Hi' } as const;
const signal = (leave: AbortController | undefined) => (leave ? { signal: leave.signal } : {});

async function read(events: AsyncIterable<unknown>, leave?: AbortController): Promise<void> {
  for await (const event of events) {
    expect(event).toBeTypeOf('object');
    if (leave) break;
  }
}

/** No two calls cost the same. */
const costOf = (model: string, isEmbedding: boolean) => {
  const index = Number(model.replace('model-', ''));
  return { prompt_tokens: 1000 + index, completion_tokens: isEmbedding ? 0 : 10 + index };
};

/** Answers as each endpoint does. The usage comes once the test says so. */
function answer({ url, body, response }: Asked): void {
  const { model, stream } = body;
  const { prompt_tokens, completion_tokens } = costOf(model, url.endsWith('/embeddings'));
  const usage = url.endsWith('/responses')
    ? { input_tokens: prompt_tokens, output_tokens: completion_tokens }
    : { prompt_tokens, completion_tokens };
  const whole = { id: `id-${model}`, model, data: [], choices: [], output: [], usage };
  if (!stream) {
    rests.set(model, () => {
      response.writeHead(200, { 'content-type': 'application/json' }).end(JSON.stringify(whole));
    });
    return;
  }
  const send = (event: object) => response.write(`data: ${JSON.stringify(event)}\n\n`);
  beginStream(response);
  const isResponse = url.endsWith('/responses');
  const choices = [{ index: 0, text: 'Hello', delta: { content: 'Hello' } }];
  send(isResponse ? { type: 'response.output_text.delta', delta: 'Hello' } : { model, choices });
  rests.set(model, () => {
    send(isResponse ? { type: 'response.completed', response: whole } : whole);
    response.end(isResponse ? '' : 'data: [DONE]\n\n');
  });
}

describe('200 calls of the official client at the same time, whole and as streams', () => {
  /** @param leaves which of the calls are left before their usage is known */
  async function callAll(leaves: (index: number) => boolean): Promise<void> {
    upstream.answer = answer;
    const names = Object.keys(kinds);
    const kindOf = (index: number) => names[index % names.length]!;
    const leaving = Array.from({ length: CALLS }, (_, index) =>
      leaves(index) ? new AbortController() : undefined,
    );
    const ends = leaving.map((leave, index) =>
      kinds[kindOf(index)]!({ model: `model-${index}`, user: `user-${index % USERS}` }, leave).then(
        () => 'over',
        (error: unknown) => (error instanceof OpenAI.APIUserAbortError ? 'aborted' : error),
      ),
    );
    await expect.poll(() => rests.size, { timeout: 30_000 }).toBe(CALLS);
    for (const leave of leaving) leave?.abort();
    // Leaving clients have left before the upstream continues.
    await Promise.all(ends.filter((_, index) => leaving[index]));
    for (const rest of rests.values()) rest();
    (await Promise.all(ends)).forEach((end, index) => {
      const isCutOff = leaves(index) && !kindOf(index).includes('stream');
      expect(end).toBe(isCutOff ? 'aborted' : 'over');
    });
    const rows = new Map((await gateway.rows(CALLS)).map((row) => [row.model, row]));
    for (let index = 0; index < CALLS; index += 1) {
      const isEmbedding = kindOf(index) === 'embeddings';
      const row = rows.get(`model-${index}`);
      expect(row).toMatchObject(costOf(`model-${index}`, isEmbedding));
      expect(row).toMatchObject({ user_id: `user-${index % USERS}` });
      expect(row.attributes?.counted).toBeUndefined();
    }
    assertConservation(await gateway.settledStats());
  }

  it('have an entry each with what the upstream charged', () => callAll(() => false), 60_000);

  // Seven kinds and every third call: each kind is left and read to its end.
  it(
    'have it too where every third client leaves before the usage is known',
    () => callAll((index) => index % 3 === 0),
    60_000,
  );

  it('have it too where all clients leave', () => callAll(() => true), 60_000);
});
