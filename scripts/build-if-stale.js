/**
 * Runs npm's script `build`, or the one given, unless what is built is newer than every file it is
 * made of, so that a second `npm start` takes no longer than it must. `build:start` leaves out what
 * a first start need not wait for: CommonJS and the check of types.
 * Processes that come at the same time (test files do) build once.
 */
import { spawnSync } from 'node:child_process';
import { mkdirSync, readdirSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';

const script = process.argv[2] ?? 'build';
const ROOT = join(import.meta.dirname, '..');
const INPUTS = [
  'src',
  'libs/ledger/src',
  'libs/ledger/dashboard',
  'libs/ledger/tsconfig.lib.json',
  'libs/ledger/tsconfig.cjs.json',
  'libs/embedded-postgres/src',
  'libs/embedded-postgres/package.json',
  'libs/openai/src',
  'libs/openai/package.json',
  'tsconfig.base.json',
  'tsconfig.build.json',
  'nest-cli.json',
  'scripts/build-commonjs.js',
  'scripts/build-dashboard.js',
  'CHANGELOG.md',
];
const LOCK = join(ROOT, '.tmp', 'build.lock');
/** Longer than a build on a busy machine: the process of an older lock has another's number. */
const LOCK_LIMIT_MS = 900_000;
const LOCK_PAUSE_MS = 100;
const OUTPUTS = [
  ...(script === 'build' ? ['libs/ledger/dist/cjs/index.js'] : []),
  'libs/ledger/dist/esm/index.js',
  'libs/ledger/dist/dashboard-assets/page.html',
  'libs/embedded-postgres/dist/index.js',
  'libs/openai/dist/index.js',
  'dist/main.js',
];

/** Time of the newest file at or below a path, in ms since 1970. */
function newest(path) {
  const facts = statSync(path);
  if (!facts.isDirectory()) return facts.mtimeMs;
  const names = readdirSync(path);
  // The folder's own time shows a removed file.
  return Math.max(facts.mtimeMs, ...names.map((name) => newest(join(path, name))));
}

function builtAt(path) {
  return statSync(join(ROOT, path), { throwIfNoEntry: false })?.mtimeMs ?? 0;
}

function isStale() {
  const changedAt = Math.max(...INPUTS.map((path) => newest(join(ROOT, path))));
  return changedAt >= Math.min(...OUTPUTS.map(builtAt));
}

/** Whether this process may build now; false while another one does. */
function takeLock() {
  try {
    mkdirSync(dirname(LOCK), { recursive: true });
    writeFileSync(LOCK, String(process.pid), { flag: 'wx' });
    return true;
  } catch (error) {
    if (error.code !== 'EEXIST') throw error;
  }
  if (isLeft()) rmSync(LOCK, { force: true });
  return false;
}

/** Whether the lock is of a process that was killed. */
function isLeft() {
  const lockedAt = statSync(LOCK, { throwIfNoEntry: false })?.mtimeMs;
  if (lockedAt === undefined) return false;
  if (Date.now() - lockedAt > LOCK_LIMIT_MS) return true;
  try {
    // Empty for a moment: 0 is this process's group.
    process.kill(Number(readFileSync(LOCK, 'utf8')), 0);
    return false;
  } catch (error) {
    return error.code === 'ESRCH';
  }
}

while (isStale()) {
  if (!takeLock()) {
    await delay(LOCK_PAUSE_MS);
    continue;
  }
  try {
    const { status } = spawnSync('npm', ['run', '--silent', script], {
      cwd: ROOT,
      stdio: 'inherit',
    });
    process.exitCode = status ?? 1;
    break;
  } finally {
    rmSync(LOCK, { force: true });
  }
}
