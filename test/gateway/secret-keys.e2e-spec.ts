import { randomUUID } from 'node:crypto';
import { once } from 'node:events';
import { connect } from 'node:net';
import pg from 'pg';
import { afterAll, beforeAll, expect, inject, it } from 'vitest';
import { GatewayProcess } from '../support/gateway-process.js';
import { beginStream, says, UpstreamServer } from '../support/upstream-server.js';
import { PATIENCE } from '../support/patience.js';

const SECRETS = {
  caller: 'sk-caller-8f2d61c07b',
  unknown: 'sk-unknown-4a9e33d518',
  upstream: 'sk-upstream-77b0c1e2f9',
};
const schema = `secret_${randomUUID().replaceAll('-', '')}`;
const upstream = new UpstreamServer();
const admin = new pg.Client({ connectionString: inject('databaseUrl') });
/** All answers to clients: status, headers, body. */
const told: string[] = [];
const call = { model: 'gpt-4o', messages: [{ role: 'user', content: 'Hi' }] };

let gateway: GatewayProcess;
let url: string;

beforeAll(async () => {
  await admin.connect();
  await admin.query(`CREATE SCHEMA ${schema}; SET search_path = ${schema}`);
  gateway = await GatewayProcess.spawn({
    DATABASE_URL: `${inject('databaseUrl')}?options=-csearch_path%3D${schema}`,
    GATEWAY_API_KEYS: `alice:laptop:${SECRETS.caller}`,
    UPSTREAM_BASE_URL: await upstream.listen(),
    UPSTREAM_API_KEY: SECRETS.upstream,
    UPSTREAM_TIMEOUT_MS: '5000',
    // The gateway logs on every level, and so do packages with a verbose mode.
    NODE_DEBUG: 'undici,fetch',
    DEBUG: '*',
  });
  url = await gateway.url();
});

afterAll(async () => {
  await gateway?.end('SIGKILL');
  await upstream.close();
  await admin.query(`DROP SCHEMA ${schema} CASCADE`);
  await admin.end();
});

/** Without a body it only reads. */
async function ask(key: string, body: unknown = call, path = 'chat/completions'): Promise<number> {
  const answer = await fetch(`${url}/v1/${path}`, {
    method: body === null ? 'GET' : 'POST',
    headers: { authorization: `Bearer ${key}`, 'content-type': 'application/json' },
    ...(body === null ? {} : { body: typeof body === 'string' ? body : JSON.stringify(body) }),
  });
  told.push(`${answer.status} ${JSON.stringify([...answer.headers])} ${await answer.text()}`);
  return answer.status;
}

/** A client that leaves: during its own request, or during the answer. */
async function leave(text: string, isAnswerAwaited: boolean): Promise<void> {
  const socket = connect(Number(new URL(url).port), '127.0.0.1').on('error', () => {});
  await once(socket, 'connect');
  socket.write(
    `POST /v1/chat/completions HTTP/1.1\r\nhost: x\r\ncontent-type: application/json\r\n` +
      `authorization: Bearer ${SECRETS.caller}\r\ncontent-length: ${text.length}\r\n\r\n`,
  );
  socket.write(isAnswerAwaited ? text : text.slice(0, 10));
  if (isAnswerAwaited) await once(socket, 'data');
  socket.resetAndDestroy();
}

async function makeCalls(): Promise<number[]> {
  const usage = { prompt_tokens: 7, completion_tokens: 3, total_tokens: 10 };
  const refusal = JSON.stringify({ error: { message: 'No.', type: 'server_error' } });
  const json = { 'content-type': 'application/json' };
  const { caller } = SECRETS;
  const statuses: number[] = [];
  const answers: [answer: typeof upstream.answer, body?: unknown][] = [
    [({ response }) => response.writeHead(200, json).end(JSON.stringify({ choices: [], usage }))],
    [
      ({ response }) => {
        beginStream(response);
        response.end(`${says('Hello')}data: [DONE]\n\n`);
      },
      { ...call, stream: true },
    ],
    [({ response }) => response.writeHead(401, json).end(refusal)],
    [({ response }) => response.writeHead(429, json).end(refusal)],
    [({ response }) => response.writeHead(500, json).end(refusal)],
    [({ response }) => response.writeHead(200, json).end('no JSON')],
    [({ response }) => response.destroy()],
    // Silent for longer than the gateway waits.
    [() => undefined],
  ];
  for (const [answer, body] of answers) {
    upstream.answer = answer;
    statuses.push(await ask(caller, body));
  }
  for (const body of [{ ...call, model: '' }, '{"model":', 'x'.repeat(17 * 1024 * 1024)]) {
    statuses.push(await ask(caller, body));
  }
  statuses.push(await ask(SECRETS.unknown), await ask(`${caller}x`));
  upstream.answer = ({ response }) => {
    beginStream(response);
    response.write(says('Hello'));
  };
  await leave(JSON.stringify({ ...call, stream: true }), true);
  await leave(JSON.stringify(call), false);
  return statuses;
}

/** All rows of all tables of the gateway, as texts. */
async function stored(): Promise<string[]> {
  const { rows: tables } = await admin.query<{ name: string }>(
    `SELECT format('%I.%I', table_schema, table_name) AS name FROM information_schema.tables
     WHERE table_schema = $1`,
    [schema],
  );
  const found: string[] = [];
  for (const { name } of tables) {
    const { rows } = await admin.query<{ row: string }>(`SELECT t::text AS row FROM ${name} t`);
    found.push(...rows.map(({ row }) => row));
  }
  return found;
}

it('No key is in a line of the log, in an answer or in an entry', async () => {
  const statuses = await makeCalls();
  expect(statuses).toEqual([200, 200, 401, 429, 500, 200, 502, 504, 400, 400, 413, 401, 401]);
  const calls = statuses.length;
  // One for each call of a known caller, and one for each that left.
  const count = 'SELECT count(*)::int AS count FROM usage_entries';
  await expect
    .poll(async () => (await admin.query(count)).rows[0].count, PATIENCE)
    .toBe(calls - 2 + 2);
  expect(await ask(SECRETS.caller, null, 'usage/summary')).toBe(200);
  expect(await ask(SECRETS.caller, null, 'usage/entries')).toBe(200);
  for (const path of ['', 'health', 'metrics', 'dashboard']) {
    told.push(await (await fetch(`${url}/${path}`)).text());
  }
  const sent = upstream.asked.map(({ headers }) => JSON.stringify(headers));
  expect(sent.every((headers) => headers.includes(SECRETS.upstream))).toBe(true);
  expect(sent.filter((headers) => headers.includes(SECRETS.caller))).toEqual([]);
  const rows = await stored();
  expect((await gateway.end('SIGTERM')).code).toBe(0);
  expect(gateway.output).toContain('async-ledger');
  for (const key of Object.values(SECRETS)) {
    const shows = (text: string): boolean => text.includes(key);
    expect(gateway.output.split('\n').filter(shows)).toEqual([]);
    expect(told.filter(shows)).toEqual([]);
    expect(rows.filter(shows)).toEqual([]);
  }
});
