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
const LOAD = fileURLToPath(new URL('support/hostile-load.js', import.meta.url));

/** Asks for the gateway's health and makes another caller's calls, until it is told that it is over. */
const BESIDE = `
const { parentPort, workerData: { url, key } } = require('node:worker_threads');
const health = [], calls = [];
let isOver = false;
parentPort.once('message', () => (isOver = true));
const timed = async (times, path, init) => {
  const began = performance.now();
  const status = await fetch(url + path, init).then(
    async (answer) => (await answer.text(), answer.status), (error) => String(error));
  times.push({ ms: performance.now() - began, status });
};
const body = JSON.stringify({ model: 'gpt-4o', messages: [{ role: 'user', content: 'Hi' }] });
const headers = { authorization: 'Bearer ' + key, 'content-type': 'application/json' };
(async () => {
  while (!isOver) {
    await timed(health, '/health/live');
    await timed(calls, '/v1/chat/completions', { method: 'POST', headers, body });
    await new Promise((resolve) => setTimeout(resolve, 10));
  }
  parentPort.postMessage({ health, calls });
})();
`;

interface Timed {
  readonly ms: number;
  readonly status: number | string;
}

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
}, 400_000);

afterAll(async () => {
  await gateway?.end('SIGKILL');
  await admin.query(`DROP SCHEMA ${schema} CASCADE`);
  await admin.end();
});

async function rowsOf(user: string): Promise<{ answered: number; all: number }> {
  const { rows } = await admin.query(
    `SELECT count(*)::int AS all,
            count(*) FILTER (WHERE NOT coalesce(attributes, '{}') ? 'status')::int AS answered
       FROM ${schema}.usage_entries WHERE user_id = $1`,
    [user],
  );
  return rows[0];
}

/** The longest that the gateway's event loop was held since this was last asked, in milliseconds. */
async function longestDelay(): Promise<number> {
  const text = await fetch(`${url}/metrics`).then((answer) => answer.text());
  return 1000 * Number(/^nodejs_eventloop_lag_max_seconds (\S+)/m.exec(text)?.[1]);
}

/** Below all else, since the machine may have no processor to spare for it. */
async function attack(): Promise<(number | null)[]> {
  const load = [LOAD, url, MALLORY, String(REQUESTS), String(AT_ONCE)];
  const { stdout } = await promisify(execFile)('nice', ['-n', '19', process.execPath, ...load]);
  return JSON.parse(stdout) as (number | null)[];
}

it('A thousand hostile requests of one caller end nothing, hold up nobody, and are all booked', async () => {
  const beside = new Worker(BESIDE, { eval: true, workerData: { url, key: BOB } });
  await longestDelay();
  const statuses = await attack();
  const delay = await longestDelay();
  beside.postMessage('over');
  const [{ health, calls }] = (await once(beside, 'message')) as [
    { health: Timed[]; calls: Timed[] },
  ];
  await beside.terminate();
  const times = health.map(({ ms }) => ms).sort((a, b) => a - b);
  const at = (share: number): string => times[Math.floor(share * (times.length - 1))]!.toFixed(0);
  const served = statuses.filter((status) => status === 200).length;
  process.stdout.write(
    `/health/live, ${times.length} times: p50 ${at(0.5)}, p99 ${at(0.99)}, max ${at(1)} ms; ` +
      `event loop held ${delay.toFixed(0)} ms at most; ${served} of ${REQUESTS} answered\n`,
  );

  expect(statuses).toHaveLength(REQUESTS);
  expect(new Set([...health, ...calls].map(({ status }) => status))).toEqual(new Set([200]));
  expect([200, 400, 413, 503, null]).toEqual(expect.arrayContaining([...new Set(statuses)]));
  expect(served).toBeGreaterThan(0);
  // What is answered has its entry, and so has every other call, once those that were left are over.
  await expect
    .poll(() => rowsOf('mallory').then(({ all }) => all), { timeout: 60_000 })
    .toBe(REQUESTS);
  expect((await rowsOf('mallory')).answered).toBeGreaterThanOrEqual(served);
  expect(await rowsOf('bob')).toEqual({ answered: calls.length, all: calls.length });
  expect(await gateway.end('SIGTERM')).toMatchObject({ code: 0 });
}, 400_000);
