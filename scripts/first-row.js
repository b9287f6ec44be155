/**
 * Follows docs/get-started.md as a new user does, in what `nest new` writes: installs the packed
 * library by that page's own command, runs `init`, meters the controller's route, builds, starts, asks
 * once, and waits for the row. Prints seconds and added lines, as `git diff` counts them. Fails if
 * there is no row, or more than ten lines were added to the sources. The clock begins with
 * `npm install` of the ledger: what comes before is the application that a newcomer has. Needs a way
 * to the npm registry, and the built gateway for its PostgreSQL.
 */
import { findFreePort, startEmbeddedPostgres } from '@app/embedded-postgres';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { chmod, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import pg from 'pg';
import { run } from '../test/matrix/run-command.js';

const ROOT = join(import.meta.dirname, '..');
const LINES_LIMIT = 10;
const ROW_LIMIT_MS = 60_000;

const folder = await mkdtemp(join(tmpdir(), 'nestjs-ledger-first-row-'));
// The server may run under another account, which walks through here.
await chmod(folder, 0o755);
const app = join(folder, 'app');
const git = (...args) =>
  run('git', ['-c', 'user.name=newcomer', '-c', 'user.email=newcomer@localhost', ...args], {
    cwd: app,
  });

/** What `nest new` writes, installed and committed. */
async function makeApplication() {
  const cli = join(ROOT, 'node_modules', '@nestjs', 'cli', 'bin', 'nest.js');
  const options = ['--skip-install', '--skip-git', '-p', 'npm', '--no-observe'];
  await run(process.execPath, [cli, 'new', 'app', ...options], { cwd: folder });
  await run('npm', ['install', '--prefer-offline', '--no-audit', '--no-fund'], { cwd: app });
  await writeFile(join(app, '.gitignore'), 'node_modules\ndist\n');
  await git('init', '--quiet');
  await git('add', '--all');
  await git('commit', '--quiet', '--message', 'as nest new writes it');
}

async function pack() {
  const options = ['--silent', '--ignore-scripts', '--pack-destination', folder];
  const { stdout } = await run('npm', ['pack', ...options], { cwd: join(ROOT, 'libs', 'ledger') });
  return join(folder, stdout.trim().split('\n').at(-1));
}

/** The page's install line for Nest 12, with the tarball in the package's place. */
async function install(tarball) {
  const [, packages] = /^npm install (nestjs-ledger .*)$/m.exec(
    await readFile(join(ROOT, 'docs', 'get-started.md'), 'utf8'),
  );
  const names = packages.split(' ').map((name) => (name === 'nestjs-ledger' ? tarball : name));
  await run('npm', ['install', '--prefer-offline', '--no-audit', '--no-fund', ...names], {
    cwd: app,
  });
}

/** The two lines that are written by hand: an import and the decorator. */
async function meterRoute() {
  const path = join(app, 'src', 'app.controller.ts');
  const text = await readFile(path, 'utf8');
  const changed = text
    .replace(/(from '@nestjs\/common';\n)/, "$1import { RecordUsage } from 'nestjs-ledger';\n")
    .replace(/( *)(@Get\(\)\n)/, '$1$2$1@RecordUsage(() => ({ userId: 1, promptTokens: 3 }))\n');
  if (changed.split('\n').length - text.split('\n').length !== 2) throw new Error(text);
  await writeFile(path, changed);
}

/** Starts what was built, asks once, and waits for the row. */
async function waitForRow(url) {
  const port = String(await findFreePort());
  const { PATH, HOME } = process.env;
  const child = spawn(process.execPath, ['dist/main.js'], {
    cwd: app,
    env: { PATH, HOME, PORT: port, LEDGER_DATABASE_URL: url },
    stdio: ['ignore', 'inherit', 'inherit'],
  });
  const exited = once(child, 'exit');
  const client = new pg.Client({ connectionString: url });
  await client.connect();
  try {
    let isAnswered = false;
    for (const end = Date.now() + ROW_LIMIT_MS; Date.now() < end; await delay(50)) {
      if (child.exitCode !== null) break;
      isAnswered ||= await fetch(`http://127.0.0.1:${port}`).then(
        ({ ok }) => ok,
        () => false,
      );
      if (isAnswered && (await hasRow(client))) return;
    }
    throw new Error('no row came');
  } finally {
    await client.end();
    child.kill('SIGTERM');
    await exited;
  }
}

async function hasRow(client) {
  const text = "SELECT to_regclass('usage_entries') IS NOT NULL AS is_there";
  const [{ is_there: isThere }] = (await client.query(text)).rows;
  if (!isThere) return false;
  const { rows } = await client.query('SELECT FROM usage_entries WHERE prompt_tokens = 3');
  return rows.length === 1;
}

/** Added lines by file, without npm's own files. */
async function addedLines() {
  await git('add', '--all');
  const { stdout } = await git('diff', '--cached', '--numstat');
  return stdout
    .trim()
    .split('\n')
    .map((line) => line.split('\t'))
    .filter(([, , path]) => !/^package(-lock)?\.json$/.test(path))
    .map(([added, , path]) => ({ added: Number(added), path }));
}

const server = await startEmbeddedPostgres({
  dataDir: join(folder, 'data'),
  settings: { fsync: 'off' },
});
try {
  await makeApplication();
  const tarball = await pack();
  const steps = [];
  const step = async (name, work) => {
    const began = Date.now();
    await work();
    steps.push({ name, seconds: (Date.now() - began) / 1000 });
  };
  await step('npm install', () => install(tarball));
  await step('npx nestjs-ledger init', () =>
    run('npx', ['nestjs-ledger', 'init', '--yes'], { cwd: app }),
  );
  await step('two lines by hand', meterRoute);
  await step('npm run build', () => run('npm', ['run', 'build'], { cwd: app }));
  await step('start, to the first row', () => waitForRow(server.url));
  const lines = await addedLines();
  const inSources = lines.filter(({ path }) => path.startsWith('src/'));
  const sum = inSources.reduce((total, { added }) => total + added, 0);
  for (const { name, seconds } of steps) console.log(`${seconds.toFixed(1)} s  ${name}`);
  for (const { added, path } of lines) console.log(`${added} lines  ${path}`);
  const total = steps.reduce((all, { seconds }) => all + seconds, 0);
  console.log(`first row after ${total.toFixed(0)} s, ${sum} lines added to the sources`);
  if (sum > LINES_LIMIT) throw new Error(`more than ${LINES_LIMIT} lines`);
} finally {
  await server.dispose();
  await rm(folder, { recursive: true, force: true });
}
