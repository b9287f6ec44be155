import { afterAll, beforeAll, beforeEach, expect, it } from 'vitest';
import { MeteredGateway } from '../support/metered-gateway.js';
import { UpstreamServer } from '../support/upstream-server.js';

const upstream = new UpstreamServer();
const USAGE = { prompt_tokens: 70, completion_tokens: 30, total_tokens: 100 };
let gateway: MeteredGateway;

beforeAll(async () => {
  gateway = await MeteredGateway.start({ UPSTREAM_BASE_URL: await upstream.listen() });
});

beforeEach(async () => {
  await gateway.forget();
  upstream.asked.length = 0;
});

afterAll(async () => {
  const stats = await gateway.settledStats();
  expect(stats).toMatchObject({ conflicts: 0, depth: 0 });
  await gateway.stop();
  await upstream.close();
});

/** Calls with one key, and answers one after the other with these. */
async function call(key: string, answers: readonly object[], headers = {}): Promise<void> {
  for (const { requestId, ...body } of answers as { requestId?: string }[]) {
    upstream.answer = ({ response }) => {
      const id = requestId === undefined ? {} : { 'x-request-id': requestId };
      response.writeHead(200, { 'content-type': 'application/json', ...id });
      response.end(JSON.stringify({ choices: [], ...body }));
    };
    const answer = await fetch(`${gateway.url}/v1/chat/completions`, {
      method: 'POST',
      headers: { 'content-type': 'application/json', 'idempotency-key': key, ...headers },
      body: JSON.stringify({ model: 'gpt-4o', messages: [{ role: 'user', content: 'Hi' }] }),
    });
    await answer.text();
  }
}

const marks = (rows: any[]) => rows.map(({ attributes }) => attributes?.repetition === true);

it('The same answer is one entry, though the upstream gives the request another id', async () => {
  const answer = { id: 'a', created: 1, usage: USAGE };
  await call('key-1', [
    { ...answer, requestId: 'r1' },
    { ...answer, requestId: 'r2' },
  ]);
  expect(await gateway.rows(1)).toMatchObject([{ attributes: { answerId: 'a' } }]);
});

it('Another answer is another entry, marked as a repetition', async () => {
  await call('key-2', [
    { id: 'a', created: 1, usage: USAGE },
    { id: 'b', created: 1, usage: USAGE },
    { id: 'a', created: 1, usage: USAGE },
  ]);
  expect(marks(await gateway.rows(2))).toEqual([false, true]);
});

it.each([
  ['gives all answers one id', { id: 'c', created: 1 }, { id: 'c', created: 2 }],
  ['gives them no id', {}, {}],
  ['sends back the id that the client sent', { requestId: 'mine' }, { requestId: 'mine' }],
])('A server that %s charges each of them', async (name, first, second) => {
  const answers = [first, second].map((each) => ({ ...each, usage: USAGE }));
  await call(`key ${name}`, answers, { 'x-request-id': 'mine' });
  expect(marks(await gateway.rows(2))).toEqual([false, true]);
});

it('An answer without an id is known by that of its request', async () => {
  const answer = { usage: USAGE, requestId: 'r1' };
  await call('key-3', [answer, answer]);
  expect(await gateway.rows(1)).toMatchObject([{ attributes: { requestId: 'r1' } }]);
});

it('A call that failed before is no repetition', async () => {
  const error = { error: { message: 'busy', code: 'busy' } };
  await call('key-4', [error, { id: 'a', created: 1, usage: USAGE }]);
  expect(marks(await gateway.rows(2))).toEqual([false, false]);
});
