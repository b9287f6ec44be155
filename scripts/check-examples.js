/**
 * Runs each example as its README says: `npm start` in a folder of its own with a database of its
 * own, the README's requests, SIGTERM; or its one run to the end, or `npm test`. The folders are
 * copies that find the repository's packages. Fails if one does not start, refuses a request, leaves
 * no row, or does not drain. Needs the build, curl and nats-server. Ends with `N passed, N failed`.
 */
import * as postgres from '@app/embedded-postgres';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { chmod, cp, mkdir, mkdtemp, readdir, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import pg from 'pg';
import { run } from '../test/matrix/run-command.js';
import {
  findNatsServer,
  HOW_TO_INSTALL,
  startBrokers,
  stopBrokers,
} from './start-stream-brokers.js';

const ROOT = join(import.meta.dirname, '..');
const LIMIT_MS = 180_000;
/** curl's status for a request that was given up, which is how a client leaves a long stream. */
const CURL_TIMED_OUT = 28;
const REQUEST_LIMIT_S = 5;

/** What examples do that have no server, or need something first. */
const OTHERS = {
  'unit-tests': (folder) => run('npm', ['test'], { cwd: folder }),
  worker: (folder, url) => untilRows(folder, url),
  'existing-table': adoptTable,
  'own-sink': sendToCollector,
  'gateways-and-writers': overStream,
};

async function query(url, sql) {
  const client = new pg.Client({ connectionString: url });
  await client.connect();
  try {
    return (await client.query(sql)).rows;
  } finally {
    await client.end();
  }
}

/** Rows in all tables of a database that a ledger writes into. */
async function countRows(url) {
  const tables = await query(
    url,
    `SELECT quote_ident(table_schema) || '.' || quote_ident(table_name) AS name
     FROM information_schema.columns WHERE column_name = 'written_at'`,
  );
  let rows = 0;
  for (const { name } of tables) {
    rows += (await query(url, `SELECT count(*)::int AS n FROM ${name}`))[0].n;
  }
  return rows;
}

/** Starts a script of an example by npm. `end` waits for a drain, and `stop` for none. */
function start(folder, environment, script = 'start') {
  const child = spawn('npm', ['run', script], {
    cwd: folder,
    env: { PATH: process.env.PATH, HOME: process.env.HOME, NO_COLOR: '1', ...environment },
    stdio: ['ignore', 'pipe', 'pipe'],
  });
  const exited = once(child, 'exit');
  let said = '';
  for (const stream of [child.stdout, child.stderr]) {
    stream.setEncoding('utf8').on('data', (text) => (said += text));
  }
  const until = async (what, look) => {
    for (const end = Date.now() + LIMIT_MS; Date.now() < end; await delay(100)) {
      if (await look()) return;
      if (child.exitCode !== null) break;
    }
    throw new Error(`no ${what}:\n${said}`);
  };
  const stop = async () => {
    child.kill('SIGTERM');
    await exited;
  };
  const end = async () => {
    child.kill('SIGTERM');
    // npm may be gone before the application is: the line is what counts.
    await until('drain', () => /drained: \d+ written/.test(said));
    await exited;
  };
  return { until, end, stop, says: (text) => until(text, () => said.includes(text)) };
}

/** A server: the README's requests are answered, and are in the table at the end. */
async function serve(folder, url) {
  await serveWith(folder, { LEDGER_DATABASE_URL: url });
}

async function serveWith(folder, environment) {
  const port = String(await postgres.findFreePort());
  const app = start(folder, { PORT: port, ...environment });
  try {
    const isUp = () =>
      fetch(`http://127.0.0.1:${port}`).then(
        () => true,
        () => false,
      );
    await app.until('answer', isUp);
    const page = await readFile(join(folder, 'README.md'), 'utf8');
    const requests = page.replaceAll('\\\n', ' ').match(/^curl .*$/gm) ?? [];
    if (requests.length === 0) throw new Error('its README asks nothing');
    for (const request of requests)
      await ask(request.replace('localhost:3000', `127.0.0.1:${port}`));
  } finally {
    await app.end();
  }
}

async function ask(request) {
  const command = request.replace(/^curl/, `curl -sS --fail --max-time ${REQUEST_LIMIT_S}`);
  await run('bash', ['-c', command], { cwd: ROOT }).catch((error) => {
    if (error.cause?.code !== CURL_TIMED_OUT) throw error;
  });
}

/** A server without a database: what it answered is in the collector's file. */
async function sendToCollector(folder) {
  const port = String(await postgres.findFreePort());
  const collector = start(folder, { COLLECTOR_PORT: port }, 'collector');
  try {
    await collector.says('collector listens');
    await serveWith(folder, { COLLECTOR_URL: `http://127.0.0.1:${port}` });
  } finally {
    await collector.stop();
  }
  const text = await readFile(join(folder, 'entries.ndjson'), 'utf8');
  return text.split('\n').length - 1;
}

/** A gateway without a database answers the README's request, and a writer has its row. */
async function overStream(folder, url) {
  const program = findNatsServer();
  if (!program) throw new Error(`it needs nats-server\n${HOW_TO_INSTALL}`);
  const brokers = await startBrokers({ program, folder, count: 1, postgres });
  try {
    // Both start by compiling into the same folder.
    await run('npx', ['tsc'], { cwd: folder });
    const stream = { LEDGER_ASYNC_STREAM_URL: `nats://${brokers[0].url}?replicas=1` };
    const port = String(await postgres.findFreePort());
    const database = { LEDGER_ASYNC_ROLE: 'writer', LEDGER_DATABASE_URL: url };
    const writer = start(folder, { ...stream, ...database, PORT: port });
    try {
      const journal = join(folder, 'journal');
      const gateway = { LEDGER_ASYNC_ROLE: 'gateway', LEDGER_ASYNC_JOURNAL_DIR: journal };
      await serveWith(folder, { ...stream, ...gateway });
      await writer.until('row', async () => (await countRows(url)) > 0);
    } finally {
      await writer.end();
    }
  } finally {
    await stopBrokers(brokers);
  }
}

async function untilRows(folder, url) {
  const app = start(folder, { LEDGER_DATABASE_URL: url });
  try {
    await app.until('row', async () => (await countRows(url)) > 0);
  } finally {
    await app.end();
  }
}

/** As its README says, after the table is made that its adopt.sql begins with in a comment. */
async function adoptTable(folder, url) {
  const sql = await readFile(join(folder, 'adopt.sql'), 'utf8');
  const [before] = /CREATE TABLE.*?\);/s.exec(sql.replaceAll(/^-- ?/gm, ''));
  await query(url, before);
  await query(url, sql);
  const page = await readFile(join(folder, 'README.md'), 'utf8');
  const [, migrate] = /^npx nestjs-ledger (.*)$/m.exec(page);
  const env = { LEDGER_DATABASE_URL: url };
  await run('npx', ['tsc'], { cwd: folder });
  await run('npx', ['nestjs-ledger', ...migrate.split(' ')], { cwd: folder, env });
  const { stdout } = await run('npm', ['start'], { cwd: folder, env: { ...env, NODE_ENV: '' } });
  if (!stdout.includes('user 1 spent 3 tokens in 1 entries')) throw new Error(stdout);
}

async function check(name) {
  const folder = join(copies, name);
  await cp(join(ROOT, 'examples', name), folder, { recursive: true });
  const database = `example_${name.replaceAll('-', '_')}`;
  await query(server.url, `CREATE DATABASE ${database}`);
  const url = new URL(server.url);
  url.pathname = database;
  const sent = await (OTHERS[name] ?? serve)(folder, url.href);
  const rows = typeof sent === 'number' ? sent : await countRows(url.href);
  if (name !== 'unit-tests' && rows === 0) throw new Error('no row');
  return rows;
}

const data = await mkdtemp(join(tmpdir(), 'nestjs-ledger-examples-'));
// The server may run under another account, which walks through here.
await chmod(data, 0o755);
const copies = join(ROOT, '.tmp', `examples-${process.pid}`);
await mkdir(copies, { recursive: true });
const server = await postgres.startEmbeddedPostgres({
  dataDir: join(data, 'data'),
  settings: { fsync: 'off' },
});
try {
  const entries = await readdir(join(ROOT, 'examples'), { withFileTypes: true });
  const names = entries.filter((entry) => entry.isDirectory()).map(({ name }) => name);
  let failed = 0;
  await Promise.all(
    names.map(async (name) => {
      const began = Date.now();
      const result = await check(name).then(
        (rows) => `passed, ${rows} rows`,
        (error) => `FAILED: ${error.message}`,
      );
      if (result.startsWith('FAILED')) failed += 1;
      console.log(`${name}: ${result}, ${((Date.now() - began) / 1000).toFixed(1)} s`);
    }),
  );
  console.log(`${names.length - failed} passed, ${failed} failed`);
  process.exitCode = failed > 0 ? 1 : 0;
} finally {
  await server.dispose();
  await rm(copies, { recursive: true, force: true });
  await rm(data, { recursive: true, force: true });
}
