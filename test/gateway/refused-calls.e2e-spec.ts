import { once } from 'node:events';
import { connect, type Socket } from 'node:net';
import { text } from 'node:stream/consumers';
import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { MeteredGateway } from '../support/metered-gateway.js';
import { PATIENCE } from '../support/patience.js';

const KEY = 'sk-alice-0123456789';
const BODY = JSON.stringify({ model: 'gpt-4o', messages: [{ role: 'user', content: 'Hi' }] });
const JSON_TYPE = { 'content-type': 'application/json' };

let gateway: MeteredGateway;

beforeAll(async () => {
  gateway = await MeteredGateway.start({
    GATEWAY_API_KEYS: `alice:laptop:${KEY},bob:ci:sk-bob-0123456789`,
    REQUEST_TIMEOUT_MS: '3000',
  });
});

beforeEach(() => gateway.forget());
afterAll(() => gateway.stop());

function post(body: string, headers: Record<string, string> = JSON_TYPE): Promise<Response> {
  return fetch(`${gateway.url}/v1/chat/completions`, {
    method: 'POST',
    headers: { authorization: `Bearer ${KEY}`, ...headers },
    body,
  });
}

/** Sends the beginning of a request byte by byte as it is given, and leaves the connection open. */
async function begin(headers: string, body: string): Promise<Socket> {
  const socket = connect(Number(new URL(gateway.url).port), '127.0.0.1').on('error', () => {});
  await once(socket, 'connect');
  socket.write(
    `POST /v1/chat/completions HTTP/1.1\r\nhost: x\r\ncontent-type: application/json\r\n` +
      `authorization: Bearer ${KEY}\r\n${headers}\r\n\r\n${body}`,
  );
  return socket;
}

/** The one entry, which charges Alice's key with nothing. */
async function expectEntry(facts: object): Promise<void> {
  const [row] = await gateway.rows(1);
  const nothing = { prompt_tokens: 0, completion_tokens: 0 };
  expect(row).toMatchObject({ user_id: 'alice', api_key_id: 'laptop', ...nothing, ...facts });
}

const refused = (status: number) => ({ memo: 'failed', attributes: { status, error: 'refused' } });
const cut = (status: number) => ({ memo: 'aborted', attributes: { status, error: 'refused' } });

describe('A call that is refused has an entry without tokens', () => {
  it.each([
    ['breaks the schema', '{"model":"gpt-4o","messages":[]}', 400, 'gpt-4o'],
    ['asks for an empty model', '{"model":"","messages":[{"role":"user"}]}', 400, null],
    ['is no object', '"model"', 400, null],
    ['names half a character as its user', '{"model":"gpt-4o","user":"a\\ud83d"}', 400, 'gpt-4o'],
    ['names a user of 257 bytes', `{"model":"gpt-4o","user":"a${'ü'.repeat(128)}"}`, 400, 'gpt-4o'],
    ['names a user with U+0000', '{"model":"gpt-4o","user":"a\\u0000"}', 400, 'gpt-4o'],
    ['is null', 'null', 400, null],
    ['is no JSON', '{"model":', 400, null],
    ['is empty', '', 400, null],
    ['poisons a prototype', '{"__proto__":{"user":"bob"}}', 400, null],
    ['is too long', `"${'x'.repeat(17 * 1024 * 1024)}"`, 413, null],
  ])('if its body %s', async (_, body, status, model) => {
    const answer = await post(body);
    expect(answer.status).toBe(status);
    expect(await answer.json()).toMatchObject({ error: { type: 'invalid_request_error' } });
    await expectEntry({ model, ...refused(status) });
  });

  it('if its body is of another type', async () => {
    const answer = await post('<model/>', { 'content-type': 'application/xml' });
    expect(answer.status).toBe(415);
    await expectEntry({ model: null, ...refused(415) });
  });

  it.each(['gzip', 'br', 'deflate', 'zstd', 'gzip, br'])(
    'if its body is packed with %s',
    async (encoding) => {
      const answer = await post(BODY, { ...JSON_TYPE, 'content-encoding': encoding });
      expect([answer.status, answer.headers.get('accept-encoding')]).toEqual([415, 'identity']);
      await expectEntry({ model: null, ...refused(415) });
    },
  );

  it('if its body comes too slowly', async () => {
    const socket = await begin(`content-length: ${BODY.length}`, BODY.slice(0, 20));
    expect(await text(socket)).toMatch(/^HTTP\/1\.1 408 /);
    await expectEntry(cut(408));
  });

  it('if its body is no HTTP', async () => {
    const socket = await begin('transfer-encoding: chunked', '4\r\n{"mo\r\nthis is no length\r\n');
    expect(await text(socket)).toMatch(/^HTTP\/1\.1 400 /);
    await expectEntry(cut(400));
  });

  it.each(['end', 'resetAndDestroy'] as const)('if the client leaves by %s', async (leave) => {
    const socket = await begin(`content-length: ${BODY.length}`, BODY.slice(0, 20));
    socket[leave]();
    await expectEntry({ memo: 'aborted', attributes: { status: 499, error: 'client_left' } });
  });

  it('and only one, whatever else is sent on its connection', async () => {
    const length = `content-length: ${BODY.length}`;
    const socket = await begin(length, BODY);
    const [answer] = (await once(socket, 'data')) as [Buffer];
    expect(answer.toString()).toMatch(/^HTTP\/1\.1 200 /);
    socket.end('no request at all\r\n\r\n');
    await text(socket);
    const [row] = await gateway.rows(1);
    expect(row).toMatchObject({ user_id: 'alice', memo: null, attributes: null });
  });
});

describe('Calls that are sent without waiting for an answer have an entry each', () => {
  const headers = (length: number): string =>
    `POST /v1/chat/completions HTTP/1.1\r\nhost: x\r\ncontent-type: application/json\r\n` +
    `authorization: Bearer ${KEY}\r\ncontent-length: ${length}\r\n\r\n`;
  const length = `content-length: ${BODY.length}`;

  it('if all are answered', async () => {
    const socket = await begin(length, `${BODY}${headers(BODY.length)}${BODY}`);
    let said = '';
    socket.setEncoding('utf8').on('data', (text: string) => (said += text));
    await expect.poll(() => said.match(/HTTP\/1\.1 200/g)?.length, PATIENCE).toBe(2);
    socket.end();
    const rows = await gateway.rows(2);
    for (const row of rows) expect(row).toMatchObject({ memo: null, attributes: null });
  });

  it('if a body that is too long goes on after its answer', async () => {
    const tooMany = 17 * 1024 * 1024;
    const socket = await begin(`content-length: ${tooMany}`, '');
    const [refusal] = (await once(socket, 'data')) as [Buffer];
    expect(refusal.toString()).toMatch(/^HTTP\/1\.1 413 /);
    socket.write('x'.repeat(tooMany));
    socket.write(`${headers(BODY.length)}${BODY}`);
    const [answer] = (await once(socket, 'data')) as [Buffer];
    expect(answer.toString()).toMatch(/^HTTP\/1\.1 200 /);
    socket.end();
    await gateway.rows(2);
  });

  it.each([
    ['whole', BODY],
    ['not here in full', BODY.slice(0, 20)],
    ['no JSON', '{'.padEnd(BODY.length)],
  ])('if the client leaves at once, and the last one is %s', async (_, last) => {
    const socket = await begin(length, `${BODY}${headers(BODY.length)}${last}`);
    socket.resetAndDestroy();
    await gateway.rows(2);
  });
});

describe('What is no call of a known caller has no entry', () => {
  it('as one without a key, with a wrong one, and one whose headers are too long', async () => {
    const wrong = ['', 'Bearer', `Basic ${KEY}`, `Bearer ${KEY}x`, `Bearer ${KEY.slice(0, -1)}`];
    for (const authorization of wrong) {
      const answer = await post(BODY, { ...JSON_TYPE, authorization });
      expect(answer.status).toBe(401);
      expect(answer.headers.get('www-authenticate')).toBe('Bearer');
    }
    const socket = await begin(`x-long: ${'x'.repeat(20_000)}`, '');
    expect(await text(socket)).toMatch(/^HTTP\/1\.1 431 /);
    expect((await fetch(`${gateway.url}/v1/chat/completions`)).status).toBe(404);
    await gateway.rows(0);
  });
});

it('The books of refused calls balance', async () => {
  const stats = await gateway.settledStats();
  expect(stats.offered).toBeGreaterThan(0);
  expect(stats).toMatchObject({ queued: stats.offered, written: stats.offered, depth: 0 });
});
