import { createServer, type AddressInfo, type Server, type Socket } from 'node:net';
import { setTimeout as delay } from 'node:timers/promises';
import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { MeteredGateway } from '../support/metered-gateway.js';
import { says } from '../support/upstream-server.js';

/** Writes an answer byte by byte, once the request's head is there, or all of it. */
type Answer = (socket: Socket) => unknown;

const SILENCE_MS = 200;
const call = { model: 'gpt-4o', messages: [{ role: 'user', content: 'Hello there' }] };
const USAGE = { prompt_tokens: 70, completion_tokens: 30, total_tokens: 100 };
const TOLD = { prompt_tokens: 70, completion_tokens: 30, memo: null };
const COUNTED = { prompt_tokens: 9, completion_tokens: 2, memo: null };
const DONE = 'data: [DONE]\n\n';
const SAID = { index: 0, message: { role: 'assistant', content: 'Hello there' } };
const whole = (usage: unknown = USAGE): string => JSON.stringify({ choices: [SAID], usage });
const usageEvent = (usage: unknown): string =>
  `data: ${JSON.stringify({ choices: [], usage })}\n\n`;

let answer: Answer;
let server: Server;
let gateway: MeteredGateway;

beforeAll(async () => {
  server = createServer((socket) => {
    let text = '';
    socket.on('error', () => {}).setEncoding('latin1');
    socket.on('data', (some: string) => {
      text += some;
      if (!isWhole(text)) return;
      text = '';
      answer(socket);
    });
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  gateway = await MeteredGateway.start({
    UPSTREAM_BASE_URL: `http://127.0.0.1:${(server.address() as AddressInfo).port}/v1`,
    UPSTREAM_TIMEOUT_MS: '10000',
    UPSTREAM_LINGER_MS: String(SILENCE_MS),
  });
});

beforeEach(() => gateway.forget());

afterAll(async () => {
  const stats = await gateway.settledStats();
  expect(stats).toMatchObject({ written: stats.offered, depth: 0, inFlight: 0 });
  await gateway.stop();
  server.close();
});

function isWhole(text: string): boolean {
  const [head = '', body] = text.split('\r\n\r\n');
  const length = Number(/content-length: (\d+)/i.exec(head)?.[1] ?? 0);
  return body !== undefined && body.length >= length;
}

function post(body: object = {}, signal?: AbortSignal): Promise<Response> {
  return fetch(`${gateway.url}/v1/chat/completions`, {
    method: 'POST',
    headers: { 'content-type': 'application/json' },
    body: JSON.stringify({ ...call, ...body }),
    ...(signal ? { signal } : {}),
  });
}

const entry = async () => (await gateway.rows(1))[0];
const head = (more = '', status = '200 OK', version = '1.1'): string =>
  `HTTP/${version} ${status}\r\ncontent-type: application/json\r\n${more}\r\n`;
const sized = (body: string): string =>
  `${head(`content-length: ${Buffer.byteLength(body)}\r\n`)}${body}`;
const chunked = (body: string): string => `${body.length.toString(16)}\r\n${body}\r\n`;

describe('An answer of an odd server is passed on and booked once', () => {
  it.each<[string, Answer]>([
    [
      'that ends with its connection, by HTTP/1.0',
      (s) => s.end(head('', '200 OK', '1.0') + whole()),
    ],
    [
      'that ends with its connection, by HTTP/1.1',
      (s) => s.end(head('connection: close\r\n') + whole()),
    ],
    [
      'behind informational ones',
      (s) => {
        s.write('HTTP/1.1 102 Processing\r\n\r\nHTTP/1.1 103 Early Hints\r\nlink: </x>\r\n\r\n');
        s.write(sized(whole()));
      },
    ],
    [
      'with trailers',
      (s) =>
        s.write(
          `${head('transfer-encoding: chunked\r\ntrailer: x-sum\r\n')}${chunked(whole())}0\r\nx-sum: 1\r\n\r\n`,
        ),
    ],
    [
      'that comes byte by byte',
      async (s) => {
        for (const byte of Buffer.from(sized(whole()))) {
          s.write(Buffer.of(byte));
          await new Promise(setImmediate);
        }
      },
    ],
    ['with more than its length', (s) => s.end(`${sized(whole())}HTTP/1.1 garbage`)],
  ])('%s', async (_, write) => {
    answer = write;
    const got = await post();
    expect([got.status, await got.text()]).toEqual([200, whole()]);
    expect(await entry()).toMatchObject(TOLD);
  });

  it('with status 204, and costs no more than its prompt', async () => {
    answer = (socket) => socket.write('HTTP/1.1 204 No Content\r\n\r\n');
    expect((await post()).status).toBe(204);
    expect(await entry()).toMatchObject({ completion_tokens: 0 });
  });

  it.each([301, 302, 307, 308])('with redirect %i, which is not followed', async (status) => {
    answer = (socket) =>
      socket.write(
        head('location: http://127.0.0.1:1/\r\ncontent-length: 2\r\n', `${status} X`) + '{}',
      );
    const got = await fetch(`${gateway.url}/v1/chat/completions`, {
      method: 'POST',
      redirect: 'manual',
      headers: { 'content-type': 'application/json' },
      body: JSON.stringify(call),
    });
    expect([got.status, got.headers.get('location')]).toEqual([status, null]);
    expect(await entry()).toMatchObject({ prompt_tokens: 0, attributes: { status } });
  });

  it.each<[string, Answer]>([
    ['that resets after its first byte', (s) => s.write('H', () => s.resetAndDestroy())],
    [
      'that resets after its head',
      (s) => s.write(head('content-length: 9\r\n'), () => s.resetAndDestroy()),
    ],
    ['that speaks something else', (s) => s.end('SSH-2.0-OpenSSH_9.2\r\n')],
    ['that says nothing and leaves', (s) => s.end()],
    ['whose length is no number', (s) => s.end(head('content-length: many\r\n') + whole())],
  ])('%s is a 502 that costs nothing', async (_, write) => {
    answer = write;
    for (const stream of [false, true]) {
      await gateway.forget();
      const got = await post({ stream });
      expect(got.status).toBe(502);
      expect(await entry()).toMatchObject({ prompt_tokens: 0, completion_tokens: 0 });
    }
  });
});

describe('Odd figures', () => {
  it.each([
    ['as text', { prompt_tokens: '70', completion_tokens: '30' }, TOLD],
    ['negative', { prompt_tokens: -70, completion_tokens: 30 }, COUNTED],
    ['of 1e308', '{"prompt_tokens":1e308,"completion_tokens":30}', COUNTED],
    ['beyond all numbers', '{"prompt_tokens":1e999,"completion_tokens":30}', COUNTED],
    ['with fractions', { prompt_tokens: 70.5, completion_tokens: 30 }, COUNTED],
    ['as a list', [70, 30], COUNTED],
    ['as a text', 'free', COUNTED],
    [
      'of which only the prompt is right',
      { prompt_tokens: 70, completion_tokens: -1 },
      { prompt_tokens: 70, completion_tokens: 2 },
    ],
  ])('%s are taken for what they are, whole and in a stream', async (_, usage, booked) => {
    const isJson = typeof usage === 'string' && usage.startsWith('{');
    const json = isJson ? usage : JSON.stringify(usage);
    const marked = { whole: whole('USAGE'), event: usageEvent('USAGE') };
    answer = (socket) => socket.write(sized(marked.whole.replace('"USAGE"', json)));
    await (await post()).text();
    expect(await entry()).toMatchObject(booked);
    await gateway.forget();
    const events = says('Hello there') + marked.event.replace('"USAGE"', json) + DONE;
    answer = (socket) => socket.write(sized(events));
    expect(await (await post({ stream: true })).text()).toBe(says('Hello there') + DONE);
    expect(await entry()).toMatchObject(booked);
  });

  it.each([
    ['told twice', usageEvent(USAGE) + usageEvent(USAGE) + DONE],
    [
      'told twice, zeros the second time',
      usageEvent(USAGE) +
        usageEvent({ prompt_tokens: 0, completion_tokens: 0, total_tokens: 0 }) +
        DONE,
    ],
    [
      'told behind a running count',
      usageEvent({ prompt_tokens: 70, completion_tokens: 1 }) + usageEvent(USAGE) + DONE,
    ],
    ['before two ends', usageEvent(USAGE) + DONE + DONE],
    ['without an end', usageEvent(USAGE)],
    [
      'behind an empty event',
      `data:\n\ndata: \n\n${usageEvent(USAGE).replace('data: ', 'data:')}${DONE}`,
    ],
  ])('%s are booked once', async (_, rest) => {
    answer = (socket) => socket.end(head('connection: close\r\n') + says('Hello there') + rest);
    await (await post({ stream: true })).text();
    expect(await entry()).toMatchObject(TOLD);
  });
});

describe('A client that leaves before the first text', () => {
  const think =
    (ms: number): Answer =>
    async (socket) => {
      socket.write(head('connection: close\r\n').replace('application/json', 'text/event-stream'));
      socket.write(`: thinking\n\n${says('')}`);
      await delay(ms);
      socket.end(usageEvent(USAGE) + DONE);
    };

  it('pays for what was thought, though that takes longer than any silence', async () => {
    answer = think(5 * SILENCE_MS);
    const leave = new AbortController();
    const got = await post({ stream: true }, leave.signal);
    await got.body!.getReader().read();
    leave.abort();
    expect(await entry()).toMatchObject({ ...TOLD, memo: 'aborted' });
  });

  it('pays for its prompt, if the upstream thinks without end', async () => {
    answer = think(600_000);
    const leave = new AbortController();
    const got = await post({ stream: true }, leave.signal);
    await got.body!.getReader().read();
    leave.abort();
    const row = await entry();
    expect(row).toMatchObject({ prompt_tokens: 9, completion_tokens: 0, memo: 'aborted' });
  });
});
