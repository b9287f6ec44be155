import type { Socket } from 'node:net';
import { afterAll, beforeAll, beforeEach, expect, it } from 'vitest';
import { MeteredGateway } from '../support/metered-gateway.js';
import { UpstreamServer } from '../support/upstream-server.js';

const upstream = new UpstreamServer();
const BODY = JSON.stringify({ choices: [], usage: { prompt_tokens: 7, completion_tokens: 3 } });
const socketsOf = new Set<Socket>();
let gateway: MeteredGateway;

beforeAll(async () => {
  gateway = await MeteredGateway.start({ UPSTREAM_BASE_URL: await upstream.listen() });
});

beforeEach(async () => {
  await gateway.forget();
  upstream.asked.length = 0;
  socketsOf.clear();
});

afterAll(async () => {
  await gateway?.stop();
  await upstream.close();
});

async function post(): Promise<number> {
  const { status } = await fetch(`${gateway.url}/v1/chat/completions`, {
    method: 'POST',
    headers: { 'content-type': 'application/json' },
    body: JSON.stringify({ model: 'gpt-4o', messages: [{ role: 'user', content: 'Hi' }] }),
  });
  return status;
}

/** Answers the first call of each connection, and does something else with all others. */
function answerFirst(otherwise: (socket: Socket) => void): void {
  upstream.answer = ({ response }) => {
    const { socket } = response;
    if (!socket || socketsOf.has(socket)) return socket && otherwise(socket);
    socketsOf.add(socket);
    response.writeHead(200, { 'content-type': 'application/json' }).end(BODY);
  };
}

it('A call whose kept connection is closed before any byte is sent once more', async () => {
  answerFirst((socket) => socket.destroy());
  expect([await post(), await post()]).toEqual([200, 200]);
  expect(upstream.asked).toHaveLength(3);
  for (const row of await gateway.rows(2)) expect(row).toMatchObject({ prompt_tokens: 7 });
});

it('A call is not sent a third time', async () => {
  let isAnswered = false;
  upstream.answer = ({ response }) => {
    if (isAnswered) return response.destroy();
    isAnswered = true;
    return response.writeHead(200, { 'content-type': 'application/json' }).end(BODY);
  };
  expect([await post(), await post()]).toEqual([200, 502]);
  expect(upstream.asked).toHaveLength(3);
  const [, row] = await gateway.rows(2);
  expect(row).toMatchObject({ prompt_tokens: 0, attributes: { status: 502 } });
});

it('A call that only reads is sent once more as well', async () => {
  answerFirst((socket) => socket.destroy());
  const list = async () => (await fetch(`${gateway.url}/v1/models`)).status;
  expect([await list(), await list()]).toEqual([200, 200]);
  expect(upstream.asked).toHaveLength(3);
  await gateway.rows(2);
});

it('A call that is answered with some bytes before that is not', async () => {
  answerFirst((socket) => socket.end('HTTP/1.1 200 O'));
  expect([await post(), await post()]).toEqual([200, 502]);
  expect(upstream.asked).toHaveLength(2);
});

it('A call whose connection was new is not', async () => {
  upstream.answer = ({ response }) => response.destroy();
  // Closes what was kept of the calls before.
  await post();
  upstream.asked.length = 0;
  expect(await post()).toBe(502);
  expect(upstream.asked).toHaveLength(1);
});
