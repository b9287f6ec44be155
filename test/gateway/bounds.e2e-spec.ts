import { once } from 'node:events';
import { connect, type Socket } from 'node:net';
import { afterAll, beforeAll, beforeEach, describe, expect, it, onTestFinished } from 'vitest';
import { MeteredGateway } from '../support/metered-gateway.js';
import { UpstreamServer } from '../support/upstream-server.js';
import { PATIENCE } from '../support/patience.js';

const ALICE = 'sk-alice-0123456789';
const BOB = 'sk-bob-0123456789';
const MIB = 1024 * 1024;
const upstream = new UpstreamServer();
let gateway: MeteredGateway;

beforeAll(async () => {
  gateway = await MeteredGateway.start({
    GATEWAY_API_KEYS: `alice:laptop:${ALICE},bob:ci:${BOB}`,
    UPSTREAM_BASE_URL: await upstream.listen(),
    // 16 MiB for one caller.
    MEMORY_IN_FLIGHT_MB: '32',
    CLIENT_TIMEOUT_MS: '1000',
  });
});
beforeEach(() => gateway.forget());
afterAll(async () => {
  await gateway?.stop();
  await upstream.close();
});

const bodyOf = (content: string): string =>
  JSON.stringify({ model: 'gpt-4o', messages: [{ role: 'user', content }] });

function post(key: string, body: string, type = 'application/json'): Promise<Response> {
  return fetch(`${gateway.url}/v1/chat/completions`, {
    method: 'POST',
    headers: { 'content-type': type, authorization: `Bearer ${key}` },
    body,
  });
}

/** Sends a call's head, and as much of its body as is given; resolves once the gateway has the head. */
async function begin(length: number, body: string): Promise<Socket> {
  const socket = connect(Number(new URL(gateway.url).port), '127.0.0.1').on('error', () => {});
  onTestFinished(() => void socket.destroy());
  await once(socket, 'connect');
  socket.write(
    `POST /v1/chat/completions HTTP/1.1\r\nhost: localhost\r\ncontent-type: application/json\r\n` +
      `authorization: Bearer ${ALICE}\r\ncontent-length: ${length}\r\n` +
      `expect: 100-continue\r\n\r\n${body}`,
  );
  const [answer] = (await once(socket, 'data')) as [Buffer];
  expect(answer.toString()).toMatch(/^HTTP\/1.1 100 /);
  return socket;
}

function answerWith(content: string): void {
  upstream.answer = ({ response }) => {
    const usage = { prompt_tokens: 7, completion_tokens: 3, total_tokens: 10 };
    response.writeHead(200, { 'content-type': 'application/json' });
    response.end(JSON.stringify({ choices: [{ message: { content } }], usage }));
  };
}

describe('What one caller holds in memory', () => {
  it('leaves room for another, is answered 503 beyond its half, and is given back', async () => {
    answerWith('ok');
    // Twelve of its sixteen MiB, not all of it here yet.
    const open = await begin(12 * MIB, '{');
    const large = bodyOf('x'.repeat(6 * MIB));
    const statusOf = async (): Promise<number> => {
      const { status, headers } = await post(ALICE, large);
      expect(headers.get('connection')).not.toBe('close');
      return status;
    };
    await expect.poll(statusOf, PATIENCE).toBe(503);
    expect((await post(ALICE, bodyOf('Hi'))).status).toBe(200);
    expect((await post(BOB, large)).status).toBe(200);
    open.destroy();
    await expect.poll(statusOf, PATIENCE).toBe(200);
  });

  it.each([
    ['objects', `{"model":"gpt-4o","messages":[],"tools":[${'{},'.repeat(1_000_000)}{}]}`],
    ['levels', `{"model":"gpt-4o","messages":${'['.repeat(1_000_000)}`],
    ['values', `{"model":"gpt-4o","input":[${'0,'.repeat(1_000_000)}0]}`],
  ])('has a bound of %s, which is answered 413 and booked', async (_, body) => {
    const answer = await post(ALICE, body);
    expect(answer.status).toBe(413);
    expect(await answer.json()).toMatchObject({ error: { code: 'body_too_large' } });
    const [row] = await gateway.rows(1);
    expect(row).toMatchObject({ user_id: 'alice', attributes: { status: 413, error: 'refused' } });
  });

  it('has room for some hundred calls that wait, however small they are', async () => {
    const waiting: (() => void)[] = [];
    let isHeld = true;
    upstream.answer = ({ text, response }) => {
      const answer = (): void => {
        const usage = { prompt_tokens: 7, completion_tokens: 3 };
        response.end(JSON.stringify({ choices: [], usage }));
      };
      if (isHeld && text.includes('wait')) waiting.push(answer);
      else answer();
    };
    let posts = 0;
    const statusOf = async (key: string): Promise<number> => {
      posts += 1;
      return (await post(key, bodyOf('Hi'))).status;
    };
    const body = bodyOf('wait');
    const socket = await begin(body.length, body);
    let said = '';
    socket.setEncoding('latin1').on('data', (text: string) => (said += text));
    const head =
      `POST /v1/chat/completions HTTP/1.1\r\nhost: localhost\r\ncontent-type: application/json\r\n` +
      `authorization: Bearer ${ALICE}\r\ncontent-length: ${body.length}\r\n\r\n`;
    socket.write((head + body).repeat(599));
    await expect.poll(() => statusOf(ALICE), PATIENCE).toBe(503);
    expect(await statusOf(BOB)).toBe(200);
    // Of 32 KiB each in 16 MiB.
    expect(waiting.length).toBeLessThanOrEqual(512);
    isHeld = false;
    for (const answer of waiting) answer();
    await expect.poll(() => said.match(/HTTP\/1\.1 (200|503) /g)?.length, PATIENCE).toBe(600);
    await gateway.rows(600 + posts);
  });

  it('does not grow with an answer for which there is no room, and its usage is booked', async () => {
    answerWith('x'.repeat(40 * MIB));
    const answer = await post(ALICE, bodyOf('Hi'));
    expect((await answer.text()).length).toBeGreaterThan(40 * MIB);
    const [row] = await gateway.rows(1);
    expect(row).toMatchObject({ prompt_tokens: 7, completion_tokens: 3, memo: null });
  });
});

// Most clients send all of a body before they read an answer, and get none if that fails.
it.each([
  ['a type that is not taken', 415, bodyOf('x'.repeat(6 * MIB)), 'text/plain'],
  ['a size above 16 MiB', 413, 'x'.repeat(17 * MIB), 'application/json'],
  ['no JSON', 400, '{', 'application/json'],
])('A body of %s is refused, and its connection is kept', async (_, status, body, type) => {
  const answer = await post(ALICE, body, type);
  expect(answer.status).toBe(status);
  expect(answer.headers.get('connection')).not.toBe('close');
});

it('A client that does not read its answer is cut off, and pays for it', async () => {
  // More than sockets hold, and less than is read of an upstream to learn the usage.
  answerWith('x'.repeat(15 * MIB));
  const body = bodyOf('Hi');
  const socket = (await begin(body.length, body)).pause();
  const closed = once(socket, 'close');
  await gateway.rows(1);
  // Only who reads learns that the connection is gone.
  socket.resume();
  await closed;
  expect(socket.bytesRead).toBeLessThan(15 * MIB);
  const [row] = await gateway.rows(1);
  expect(row).toMatchObject({ prompt_tokens: 7, completion_tokens: 3, memo: 'aborted' });
});
