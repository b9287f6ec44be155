import type { NestFastifyApplication } from '@nestjs/platform-fastify';
import { LedgerService } from 'nestjs-ledger';
import pg from 'pg';
import { afterAll, beforeAll, describe, expect, inject, it, vi } from 'vitest';
import { createGateway } from '../src/create-gateway.js';
import { GatewayDatabase } from '../src/database/gateway-database.js';
import { readGatewaySettings } from '../src/gateway-settings.js';
import { buildIfStale } from './support/example-app.js';
import { gatewayData } from './support/gateway-data.js';
import { PATIENCE } from './support/patience.js';

const SCHEMA = `gateway_${process.pid}_${Date.now()}`;
/** So slow that a client can hang up in the middle of a stream. */
const TOKEN_MS = 5;
const DASHBOARD_TOKEN = 'of-the-tests-of-the-gateway';

let app: NestFastifyApplication;
let url: string;
let admin: pg.Client;

beforeAll(async () => {
  admin = new pg.Client({ connectionString: inject('databaseUrl') });
  await admin.connect();
  await admin.query(`CREATE SCHEMA ${SCHEMA}; SET search_path = ${SCHEMA}`);
  const settings = readGatewaySettings({
    DATABASE_URL: `${inject('databaseUrl')}?options=-csearch_path%3D${SCHEMA}`,
    LOOPBACK_TOKEN_MS: String(TOKEN_MS),
    DATA_DIR: gatewayData(),
  });
  vi.stubEnv('LEDGER_DASHBOARD_TOKEN', DASHBOARD_TOKEN);
  app = await createGateway(settings, await GatewayDatabase.open(settings), false);
  await app.listen(0, '127.0.0.1');
  url = await app.getUrl();
  // The ledger connects beside the boot; from here on every request is recorded at once.
  await vi.waitFor(async () => expect((await fetch(`${url}/health`)).status).toBe(200), PATIENCE);
});

afterAll(async () => {
  vi.unstubAllEnvs();
  await app?.close();
  await admin.query(`DROP SCHEMA ${SCHEMA} CASCADE`);
  await admin.end();
});

interface Answer {
  readonly status: number;
  readonly body: any;
  readonly headers: Headers;
}

async function get(path: string): Promise<Answer> {
  const response = await fetch(url + path);
  return { status: response.status, body: await response.json(), headers: response.headers };
}

function post(body: unknown, init: RequestInit = {}): Promise<Response> {
  return fetch(`${url}/v1/chat/completions`, {
    method: 'POST',
    headers: { 'content-type': 'application/json' },
    body: typeof body === 'string' ? body : JSON.stringify(body),
    ...init,
  });
}

async function complete(body: object): Promise<Answer> {
  const response = await post({ model: 'gpt-4o', ...body });
  return { status: response.status, body: await response.json(), headers: response.headers };
}

const say = (content: string) => [{ role: 'user', content }];

/** The rows of a user, oldest first, after everything accepted so far was written. */
async function rowsOf(userId: string): Promise<any[]> {
  await app.get(LedgerService).flush();
  const sql = 'SELECT * FROM usage_entries WHERE user_id = $1 ORDER BY created_at, uuid';
  return (await admin.query(sql, [userId])).rows;
}

describe('POST /v1/chat/completions', () => {
  it('answers as OpenAI does, and the row in the table has the token counts of the answer', async () => {
    const { status, body } = await complete({ messages: say('Hello there'), user: 'plain' });
    expect(status).toBe(200);
    expect(body).toMatchObject({
      object: 'chat.completion',
      model: 'gpt-4o',
      choices: [
        {
          index: 0,
          message: { role: 'assistant', content: 'You said: Hello there' },
          finish_reason: 'stop',
        },
      ],
    });
    // "You", " said", ":", " Hello", " there"; and a prompt of 3 + 1 + 2 + 3.
    expect(body.usage).toEqual({ prompt_tokens: 9, completion_tokens: 5, total_tokens: 14 });
    const rows = await rowsOf('plain');
    expect(rows).toHaveLength(1);
    expect(rows[0]).toMatchObject({
      prompt_tokens: 9,
      completion_tokens: 5,
      direction: 'consume',
      model: 'gpt-4o',
      // 9 tokens read at 2,500 and 5 written at 10,000 billionths of a dollar.
      cost_nanos: '72500',
      memo: null,
    });
  });

  it('streams chunks that make up the answer, and records them as one entry', async () => {
    const response = await post({
      model: 'gpt-4o-mini',
      messages: say('Stream this, please'),
      user: 'stream',
      stream: true,
      stream_options: { include_usage: true },
    });
    expect(response.status).toBe(200);
    expect(response.headers.get('content-type')).toContain('text/event-stream');
    const events = (await response.text()).trim().split('\n\n');
    expect(events.every((event) => event.startsWith('data: '))).toBe(true);
    expect(events.pop()).toBe('data: [DONE]');
    const chunks = events.map((event) => JSON.parse(event.slice('data: '.length)));
    const text = chunks.map((chunk) => chunk.choices[0]?.delta.content ?? '').join('');
    expect(text).toBe('You said: Stream this, please');
    const { usage } = chunks.at(-1);
    const rows = await rowsOf('stream');
    expect(rows).toHaveLength(1);
    expect(rows[0]).toMatchObject({
      prompt_tokens: usage.prompt_tokens,
      completion_tokens: usage.completion_tokens,
      model: 'gpt-4o-mini',
    });
  });

  it('charges a client that hangs up for what was made until then', async () => {
    const hangUp = new AbortController();
    const body = {
      model: 'gpt-4o',
      messages: say('word '.repeat(4000)),
      user: 'aborted',
      stream: true,
    };
    const response = await post(body, { signal: hangUp.signal });
    await response.body?.getReader().read();
    hangUp.abort();
    await vi.waitFor(async () => expect(await rowsOf('aborted')).toHaveLength(1), PATIENCE);
    const [row] = await rowsOf('aborted');
    expect(row.memo).toBe('aborted');
    expect(row.prompt_tokens).toBeGreaterThan(4000);
    expect(row.completion_tokens).toBeLessThan(4000);
  });

  it('knows a caller without a name by a fingerprint of the key', async () => {
    const headers = { 'content-type': 'application/json', authorization: 'Bearer sk-e2e-secret' };
    await (await post({ model: 'gpt-4o', messages: say('Hi') }, { headers })).json();
    await app.get(LedgerService).flush();
    const { rows } = await admin.query(
      "SELECT user_id, api_key_id FROM usage_entries WHERE user_id LIKE 'key\\_%'",
    );
    expect(rows).toEqual([{ user_id: rows[0].api_key_id, api_key_id: rows[0].user_id }]);
    expect(JSON.stringify(rows)).not.toContain('secret');
  });

  it('refuses a wrong body with 400, names the fields, and records who sent it', async () => {
    const wrong = { model: 7, messages: [{ role: 'robot' }], user: 'wrong' };
    const { status, body } = await complete(wrong);
    expect(status).toBe(400);
    expect(body.error).toMatchObject({ type: 'invalid_request_error', param: 'model' });
    expect(body.error.message).toMatch(/^model: /);
    expect(await rowsOf('wrong')).toMatchObject([
      { model: null, prompt_tokens: 0, completion_tokens: 0, memo: 'failed', cost_nanos: null },
    ]);
  });

  it('answers a body that is no JSON, and an address that is none, in the form of OpenAI', async () => {
    const broken = await post('{"model":');
    expect(broken.status).toBe(400);
    const form = { type: 'invalid_request_error', param: null, code: null };
    expect(await broken.json()).toMatchObject({ error: form });
    const { status, body } = await get('/v1/nothing');
    expect(status).toBe(404);
    expect(body).toMatchObject({ error: form });
  });
});

describe('GET /v1/usage', () => {
  it('sums up and lists what was recorded, newest first, page by page', async () => {
    const spent: number[] = [];
    for (const text of ['one', 'two words', 'three words here']) {
      spent.push((await complete({ messages: say(text), user: 'reader' })).body.usage.total_tokens);
    }
    await app.get(LedgerService).flush();
    const total = spent.reduce((sum, tokens) => sum + tokens, 0);
    const summary = await get('/v1/usage/summary?userId=reader');
    expect(summary.status).toBe(200);
    expect(summary.body).toMatchObject({
      consumedTokens: total,
      suppliedTokens: 0,
      netTokens: -total,
      entries: 3,
    });
    const first = await get('/v1/usage/entries?userId=reader&limit=2');
    const rest = await get(
      `/v1/usage/entries?userId=reader&cursor=${encodeURIComponent(first.body.nextCursor)}`,
    );
    const entries = [...first.body.entries, ...rest.body.entries];
    expect(entries.map((entry) => entry.promptTokens + entry.completionTokens)).toEqual(
      spent.toReversed(),
    );
    expect(entries[0]).toMatchObject({ userId: 'reader', model: 'gpt-4o' });
    expect(rest.body.nextCursor).toBeNull();
  });

  it('takes a period as half-open', async () => {
    await complete({ messages: say('Hi'), user: 'period' });
    await app.get(LedgerService).flush();
    const { entries } = (await get('/v1/usage/entries?userId=period')).body;
    const day = String(entries[0].createdAt).slice(0, 10);
    const until = await get(`/v1/usage/summary?userId=period&to=${day}`);
    const since = await get(`/v1/usage/summary?userId=period&from=${day}`);
    expect([until.body.entries, since.body.entries]).toEqual([0, 1]);
  });

  it.each([
    ['/v1/usage/entries', 'userId'],
    ['/v1/usage/entries?userId=a&limit=1001', 'limit'],
    ['/v1/usage/entries?userId=a&cursor=nonsense', 'cursor'],
    ['/v1/usage/summary?from=yesterday', 'from'],
  ])('refuses %s with 400 and names %s', async (path, field) => {
    const { status, body } = await get(path);
    expect(status).toBe(400);
    expect(body.error.param).toBe(field);
  });
});

describe('GET /health and /', () => {
  it.each(['/health', '/health/ready', '/health/live', '/health/startup'])(
    'answers %s with 200 and the figures of the ledger',
    async (path) => {
      // A ping of the database that takes too long shows until the next.
      const ledger = { status: 'up', state: 'running', depth: 0, dropped: 0 };
      const healthy = { status: 200, body: { status: 'ok', details: { ledger } } };
      await expect.poll(() => get(path), PATIENCE).toMatchObject(healthy);
    },
  );

  it('shows the dashboard at /, by its link only, and to nobody behind a proxy', async () => {
    await buildIfStale();
    expect((await fetch(url)).status).toBe(404);
    const link = `${url}/?ledger-token=${DASHBOARD_TOKEN}`;
    const response = await fetch(link);
    expect(response.status).toBe(200);
    expect(response.headers.get('content-type')).toContain('text/html');
    expect(await response.text()).toContain('<h1>Usage ledger');
    const forwarded = await fetch(link, { headers: { 'x-forwarded-for': '203.0.113.7' } });
    expect(forwarded.status).toBe(404);
  }, 180_000);
});
