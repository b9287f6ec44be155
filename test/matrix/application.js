/** An application of the matrix: made in an empty folder, and started as its users do. */
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { copyFile, mkdir, readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import pg from 'pg';
import { findFreePort } from '@app/embedded-postgres';
import { run } from './run-command.js';

const APP = join(import.meta.dirname, 'app');
const ANSWER_LIMIT_MS = 60_000;
/** Marks the lines that count towards "at most ten changed lines". */
const LEDGER_LINE = '// ledger';

/**
 * Makes, installs, compiles and unit-tests an application.
 *
 * @param path PATH of the commands, so that they run on the right Node.js
 * @returns the lines the ledger took
 */
export async function makeApplication(stack, folder, { tarball, path }) {
  await mkdir(folder);
  let lines = 0;
  for (const [from, to] of [
    ['app.module.ts', 'app.module.ts'],
    ['entry-points.ts', 'entry-points.ts'],
    ['meter.spec.ts', 'meter.spec.ts'],
    [stack.main, 'main.ts'],
  ]) {
    await copyFile(join(APP, from), join(folder, to));
    lines += (await readFile(join(folder, to), 'utf8')).split(LEDGER_LINE).length - 1;
  }
  for (const [name, content] of Object.entries(stack.files(tarball))) {
    await writeFile(join(folder, name), JSON.stringify(content));
  }
  const where = { cwd: folder, path };
  await run('npm', ['install', '--prefer-offline', '--no-audit', '--no-fund'], where);
  // By its file, since npx takes a second to find it.
  await run(bin('tsc'), ['-p', '.'], where);
  const [runner, ...options] = stack.test;
  await run(bin(runner), options, where);
  return lines;
}

function bin(name) {
  return join('node_modules', '.bin', name);
}

/**
 * Starts an application, meters, reads, stops it.
 *
 * @param database `application` for its own DataSource, `own` for a connection of the ledger's
 * @throws Error with its output
 */
export async function tryApplication(folder, { database, url, path }) {
  const port = await findFreePort();
  const address = `http://127.0.0.1:${port}/answers`;
  const environment = {
    MATRIX_DATABASE: database,
    [database === 'own' ? 'LEDGER_DATABASE_URL' : 'MATRIX_DATABASE_URL']: url,
    // So that nothing but a flush or the drain writes.
    LEDGER_ASYNC_FLUSH_MS: '3600000',
  };
  const child = spawn('node', ['dist/main.js'], {
    cwd: folder,
    env: {
      PATH: path,
      HOME: process.env.HOME,
      PORT: String(port),
      NO_COLOR: '1',
      ...environment,
    },
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
