/**
 * Installs the packed library in applications as people have them, each in an empty folder, and
 * looks at what matters: it compiles, its unit test passes, a route is metered and read back, and
 * SIGTERM drains. Needs a way to the npm registry, and the built gateway for its PostgreSQL. Ends
 * with a table, and `N passed, N failed`.
 */
import { findFreePort, startEmbeddedPostgres } from '@app/embedded-postgres';
import { execFile, spawn } from 'node:child_process';
import { once } from 'node:events';
import { chmod, copyFile, mkdir, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { promisify } from 'node:util';
import pg from 'pg';
import { STACKS } from './stacks.js';

const ROOT = join(import.meta.dirname, '..', '..');
const APP = join(import.meta.dirname, 'app');
const COMMAND_LIMIT_MS = 240_000;
const ANSWER_LIMIT_MS = 60_000;
/** What counts as one of the "at most ten changed lines" has this behind it. */
const LEDGER_LINE = '// ledger';
const DATABASES = { application: "the application's DataSource", own: 'own connection' };

/** Runs a command to its end. @throws Error that holds what it printed */
async function run(command, args, cwd) {
  try {
    return await promisify(execFile)(command, args, {
      cwd,
      timeout: COMMAND_LIMIT_MS,
      env: { ...process.env, CI: 'true', NO_COLOR: '1' },
    });
  } catch (error) {
    throw new Error(`${command} ${args.join(' ')}: ${error.stdout}${error.stderr}`, {
      cause: error,
    });
  }
}

async function pack(folder) {
  const options = ['--silent', '--ignore-scripts', '--pack-destination', folder];
  const { stdout } = await run('npm', ['pack', ...options], join(ROOT, 'libs', 'ledger'));
  return join(folder, stdout.trim().split('\n').at(-1));
}

/** Makes, installs, compiles and unit-tests an application. @returns the lines the ledger took */
async function makeApplication(stack, folder, tarball) {
  await mkdir(folder);
  let lines = 0;
  for (const [from, to] of [
    ['app.module.ts', 'app.module.ts'],
    ['meter.spec.ts', 'meter.spec.ts'],
    [stack.main, 'main.ts'],
  ]) {
    await copyFile(join(APP, from), join(folder, to));
    lines += (await readFile(join(folder, to), 'utf8')).split(LEDGER_LINE).length - 1;
  }
  for (const [name, content] of Object.entries(stack.files(tarball))) {
    await writeFile(join(folder, name), JSON.stringify(content));
  }
  await run('npm', ['install', '--prefer-offline', '--no-audit', '--no-fund'], folder);
  await run('npx', ['tsc', '-p', '.'], folder);
  await run('npx', stack.test, folder);
  return lines;
}

/** Starts an application, meters, reads, stops it. @throws Error with its output */
async function tryApplication(folder, database, url) {
  const port = await findFreePort();
  const address = `http://127.0.0.1:${port}/answers`;
  const { PATH, HOME } = process.env;
  const environment = {
    MATRIX_DATABASE: database,
    [database === 'own' ? 'LEDGER_DATABASE_URL' : 'MATRIX_DATABASE_URL']: url,
    // So that nothing but a flush or the drain writes.
    LEDGER_ASYNC_FLUSH_MS: '3600000',
  };
  const child = spawn(process.execPath, ['dist/main.js'], {
    cwd: folder,
    env: { PATH, HOME, PORT: String(port), NO_COLOR: '1', ...environment },
  });
  const exited = once(child, 'exit');
  let said = '';
  for (const stream of [child.stdout, child.stderr]) {
    stream.setEncoding('utf8').on('data', (text) => (said += text));
  }
  try {
    await answering(address, child);
    await meter(address);
    const { entries } = await (await fetch(address)).json();
    equal(
      'entries read',
      entries?.map(({ promptTokens }) => promptTokens),
      [3],
    );
    await meter(address);
    child.kill('SIGTERM');
    await Promise.race([exited, delay(ANSWER_LIMIT_MS, undefined, { ref: false })]);
    equal('it ended', child.exitCode !== null || child.signalCode !== null, true);
    equal('it said that it drained', /drained: \d+ written/.test(said), true);
    equal('rows', await countRows(url), 2);
  } catch (error) {
    throw new Error(`${error.message}\n${said}`, { cause: error });
  } finally {
    child.kill('SIGKILL');
  }
}

async function answering(address, child) {
  for (const end = Date.now() + ANSWER_LIMIT_MS; Date.now() < end; await delay(50)) {
    if (child.exitCode !== null) break;
    if (await fetch(address).catch(() => undefined)) return;
  }
  throw new Error('the application does not answer');
}

async function meter(address) {
  const response = await fetch(address, {
    method: 'POST',
    headers: { 'content-type': 'application/json' },
    body: JSON.stringify({ user: 7, text: 'as it stands' }),
  });
  equal('answer', await response.json(), { user: 7, tokens: 3 });
}

async function countRows(url) {
  const client = new pg.Client({ connectionString: url });
  await client.connect();
  try {
    const { rows } = await client.query('SELECT count(*)::int AS n FROM usage_entries');
    return rows[0].n;
  } finally {
    await client.end();
  }
}

function equal(what, actual, expected) {
  const [is, should] = [actual, expected].map((value) => JSON.stringify(value));
  if (is !== should) throw new Error(`${what}: ${is} instead of ${should}`);
}

/** A database of its own on the server. @returns its connection string */
async function makeDatabase(url, name) {
  const client = new pg.Client({ connectionString: url });
  await client.connect();
  await client.query(`CREATE DATABASE ${name}`);
  await client.end();
  const address = new URL(url);
  address.pathname = name;
  return address.href;
}

const results = [];

/** Does one cell, and notes how long it took and how it ended. @returns what it gave */
async function cell(name, work) {
  const began = Date.now();
  try {
    const given = await work();
    results.push({ name, seconds: (Date.now() - began) / 1000, result: 'passed' });
    return given;
  } catch (error) {
    console.error(`${name}: ${error.message}`);
    results.push({ name, seconds: (Date.now() - began) / 1000, result: 'FAILED' });
    return undefined;
  }
}

const folder = await mkdtemp(join(tmpdir(), 'nestjs-ledger-matrix-'));
// The server may run under another account, which walks through here.
await chmod(folder, 0o755);
const server = await startEmbeddedPostgres({
  dataDir: join(folder, 'data'),
  settings: { fsync: 'off' },
});
try {
  const tarball = await pack(folder);
  for (const [index, stack] of STACKS.entries()) {
    const app = join(folder, `app-${index}`);
    const name = `${stack.name}: installed, compiled, unit test`;
    const lines = await cell(name, () => makeApplication(stack, app, tarball));
    for (const [database, label] of Object.entries(DATABASES)) {
      await cell(`${stack.name}: ${label}, ${lines ?? '?'} lines`, async () => {
        if (lines === undefined) throw new Error('there is no application');
        if (lines > 10) throw new Error(`${lines} lines for the ledger`);
        await tryApplication(app, database, await makeDatabase(server.url, `${database}_${index}`));
      });
    }
  }
} finally {
  await server.stop();
  await rm(folder, { recursive: true, force: true });
}
console.log('\n| Cell | Seconds | Result |\n| --- | ---: | --- |');
for (const { name, seconds, result } of results) {
  console.log(`| ${name} | ${seconds.toFixed(1)} | ${result} |`);
}
const failed = results.filter(({ result }) => result !== 'passed').length;
console.log(`${results.length - failed} passed, ${failed} failed`);
process.exitCode = failed > 0 ? 1 : 0;
