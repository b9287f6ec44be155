import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { MeteredGateway } from '../support/metered-gateway.js';
import { beginStream, UpstreamServer } from '../support/upstream-server.js';

const MIB = 1024 * 1024;
const upstream = new UpstreamServer();
let gateway: MeteredGateway;
let builtIn: MeteredGateway;

beforeAll(async () => {
  gateway = await MeteredGateway.start({ UPSTREAM_BASE_URL: await upstream.listen() });
  builtIn = await MeteredGateway.start({});
});
beforeEach(async () => {
  upstream.asked.length = 0;
  await gateway.forget();
});
afterAll(async () => {
  await gateway?.stop();
  await builtIn?.stop();
  await upstream.close();
});

interface Answer {
  readonly choices: readonly { readonly message: { readonly content: string } }[];
  readonly usage: { readonly prompt_tokens: number };
}

const bodyOf = (content: string, more: object = {}): string =>
  JSON.stringify({ odd: [1.5, { Ü: '\u2028' }], messages: [{ role: 'user', content }], ...more });

function post({ url }: MeteredGateway, body: string): Promise<Response> {
  const headers = { 'content-type': 'application/json' };
  return fetch(`${url}/v1/chat/completions`, { method: 'POST', headers, body });
}

describe('A body of a megabyte', () => {
  it.each([false, true])('reaches the upstream as it was written (stream %s)', async (stream) => {
    const usage = { prompt_tokens: 7, completion_tokens: 3, total_tokens: 10 };
    upstream.answer = ({ response }) => {
      if (stream) beginStream(response);
      else response.writeHead(200, { 'content-type': 'application/json' });
      const answer = JSON.stringify({ choices: [], usage });
      response.end(stream ? `data: ${answer}\n\ndata: [DONE]\n\n` : answer);
    };
    const body = bodyOf('wörd '.repeat(200_000), { model: 'gpt-4o', user: 'alice', stream });
    expect((await post(gateway, body)).status).toBe(200);
    const added = stream ? '"stream_options":{"include_usage":true},' : '';
    expect(upstream.asked[0]!.text === `{${added}${body.slice(1)}`).toBe(true);
    const [row] = await gateway.rows(1);
    expect(row).toMatchObject({ user_id: 'alice', prompt_tokens: 7, completion_tokens: 3 });
  });

  it.each([
    ['a model that is none', { model: 7 }, 'model'],
    ['a user above 256 bytes', { model: 'gpt-4o', user: 'ä'.repeat(129) }, 'user'],
    ['a stream flag that is none', { model: 'gpt-4o', stream: 'yes' }, 'stream'],
  ])('is refused with %s, and booked', async (_, more, param) => {
    const answer = await post(gateway, bodyOf('x'.repeat(MIB), more));
    expect(answer.status).toBe(400);
    expect(await answer.json()).toMatchObject({ error: { param } });
    expect(upstream.asked).toHaveLength(0);
    expect((await gateway.rows(1))[0]).toMatchObject({ attributes: { status: 400 } });
  });

  it('that is no JSON is refused, and booked', async () => {
    expect((await post(gateway, bodyOf('x'.repeat(MIB)).slice(1))).status).toBe(400);
    expect((await gateway.rows(1))[0]).toMatchObject({ attributes: { status: 400 } });
  });

  it('is answered by the built-in provider, within its bound', async () => {
    await builtIn.forget();
    const half = 'word '.repeat(100_000);
    const answer = await post(builtIn, bodyOf(half, { model: 'gpt-4o', n: 2 }));
    expect(answer.status).toBe(200);
    const { choices, usage } = (await answer.json()) as Answer;
    expect(choices.map(({ message }) => message.content === `You said: ${half}`)).toEqual([
      true,
      true,
    ]);
    const refused = await post(builtIn, bodyOf(half, { model: 'gpt-4o', n: 3 }));
    expect(refused.status).toBe(400);
    expect(await refused.json()).toMatchObject({ error: { param: 'n' } });
    const rows = await builtIn.rows(2);
    expect(rows.map(({ prompt_tokens: tokens }) => tokens).sort()).toEqual([
      0,
      usage.prompt_tokens,
    ]);
  });
});

it('Large bodies that there is no thread for are answered 503 with Retry-After, and booked', async () => {
  upstream.answer = ({ response }) => {
    response.writeHead(200, { 'content-type': 'application/json' });
    response.end(
      '{"choices":[],"usage":{"prompt_tokens":7,"completion_tokens":3,"total_tokens":10}}',
    );
  };
  // So many values take a thread much longer than the loop takes to collect their bytes.
  const body = bodyOf('x', { model: 'gpt-4o', many: Array(400_000).fill(1) });
  const answers = await Promise.all(Array.from({ length: 60 }, () => post(gateway, body)));
  const full = answers.filter(({ status }) => status === 503);
  expect(full.length).toBeGreaterThan(0);
  expect(full.map(({ headers }) => headers.get('retry-after'))).toEqual(full.map(() => '1'));
  expect(answers.filter(({ status }) => status === 200).length).toBe(60 - full.length);
  await gateway.rows(60);
});
