import { execFile } from 'node:child_process';
import { randomUUID } from 'node:crypto';
import { once } from 'node:events';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { Worker } from 'node:worker_threads';
import pg from 'pg';
import { afterAll, beforeAll, expect, inject, it } from 'vitest';
import { GatewayProcess } from '../support/gateway-process.js';

const MALLORY = 'sk-mallory-0123456789';
const BOB = 'sk-bob-0123456789';
const REQUESTS = 1_000;
const AT_ONCE = 16;
/** Some 30 s on two processors; a busy machine has taken 200 s. */
const LIMIT_MS = 900_000;
const LOAD = fileURLToPath(new URL('support/hostile-load.js', import.meta.url));

/** Checks the gateway's health and makes another caller's calls, until the end is signalled. */
const BESIDE = `
const { parentPort, workerData: { url, key } } = require('node:worker_threads');
const health = [], calls = [];
let isOver = false;
parentPort.once('message', () => (isOver = true));
const ask = (statuses, path, init) => fetch(url + path, init).then(
  async (answer) => (await answer.text(), statuses.push(answer.status)),
  (error) => statuses.push(String(error.cause ?? error)));
const body = JSON.stringify({ model: 'gpt-4o', messages: [{ role: 'user', content: 'Hi' }] });
const headers = { authorization: 'Bearer ' + key, 'content-type': 'application/json' };
(async () => {
  while (!isOver) {
    await ask(health, '/health/live');
    await ask(calls, '/v1/chat/completions', { method: 'POST', headers, body });
    await new Promise((resolve) => setTimeout(resolve, 10));
  }
  parentPort.postMessage({ health, calls });
})();
`;

type Statuses = (number | string | null)[];

const schema = `hostile_${randomUUID().replaceAll('-', '')}`;
const admin = new pg.Client({ connectionString: inject('databaseUrl') });
let gateway: GatewayProcess;
let url: string;

beforeAll(async () => {
  await admin.connect();
  await admin.query(`CREATE SCHEMA ${schema}`);
  gateway = await GatewayProcess.spawn({
    DATABASE_URL: `${inject('databaseUrl')}?options=-csearch_path%3D${schema}`,
    GATEWAY_API_KEYS: `mallory:m:${MALLORY},bob:b:${BOB}`,
    NODE_OPTIONS: '--max-old-space-size=512',
  });
  url = await gateway.url();
}, LIMIT_MS);

afterAll(async () => {
  await gateway?.end('SIGKILL');
  await admin.query(`DROP SCHEMA ${schema} CASCADE`);
  await admin.end();
});

/** Entries of a user: all, and those of calls that were answered 200. */
async function entriesOf(user: string): Promise<{ answered: number; all: number }> {
  const { rows } = await admin.query(
    `SELECT count(*)::int AS all,
            count(*) FILTER (WHERE NOT coalesce(attributes, '{}') ? 'status')::int AS answered
       FROM ${schema}.usage_entries WHERE user_id = $1`,
    [user],
  );
  return rows[0];
}

/** Statuses of all requests. Below all else, since the machine may have no processor to spare for it. */
async function attack(): Promise<Statuses> {
  const load = [LOAD, url, MALLORY, String(REQUESTS), String(AT_ONCE)];
  const { stdout } = await promisify(execFile)('nice', ['-n', '19', process.execPath, ...load]);
  return JSON.parse(stdout) as Statuses;
}

it(
  'A thousand hostile requests of one caller end nothing, shut out nobody, and are all booked',
  async () => {
    const beside = new Worker(BESIDE, { eval: true, workerData: { url, key: BOB } });
    const statuses = await attack();
    beside.postMessage('over');
    const [{ health, calls }] = (await once(beside, 'message')) as [Record<string, Statuses>];
    await beside.terminate();
    const served = statuses.filter((status) => status === 200).length;

    expect(statuses).toHaveLength(REQUESTS);
    expect([200, 400, 413, 503, null]).toEqual(expect.arrayContaining([...new Set(statuses)]));
    expect(served).toBeGreaterThan(0);
    expect([new Set(health), new Set(calls)]).toEqual([new Set([200]), new Set([200])]);
    // The stop waits for calls that were left, and writes what is still held.
    expect(await gateway.end('SIGTERM')).toMatchObject({ code: 0, signal: null });
    const mallorys = await entriesOf('mallory');
    expect(mallorys.all).toBe(REQUESTS);
    expect(mallorys.answered).toBeGreaterThanOrEqual(served);
    expect(await entriesOf('bob')).toEqual({ answered: calls!.length, all: calls!.length });
    // A client that leaves, or is refused, is no fault of the gateway.
    expect(gateway.output).not.toContain('ERROR');
  },
  LIMIT_MS,
);
