/**
 * Starts the gateway as a newcomer does (`npm start`, no database), asks for its health and ends it
 * with SIGTERM. Fails if it takes more than 20 s to answer, or if it leaves a server behind.
 */
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { existsSync } from 'node:fs';
import { mkdtemp, chmod, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';

const START_LIMIT_MS = 20_000;
const STOP_LIMIT_MS = 15_000;

const dataDir = await mkdtemp(join(tmpdir(), 'nestjs-ledger-start-'));
// The database may run under another account, which walks through here.
await chmod(dataDir, 0o755);
const began = Date.now();
const gateway = spawn('npm', ['start'], {
  cwd: join(import.meta.dirname, '..'),
  env: { ...process.env, PORT: '0', DATA_DIR: dataDir },
  stdio: ['ignore', 'pipe', 'inherit'],
});
const ended = once(gateway, 'exit');
let said = '';
gateway.stdout.setEncoding('utf8').on('data', (text) => {
  process.stdout.write(text);
  said += text;
});

/** Waits until a check gives something; throws after the limit. */
async function until(limitMs, what, look) {
  for (const deadline = Date.now() + limitMs; Date.now() < deadline; await delay(50)) {
    const found = await look();
    if (found) return found;
  }
  throw new Error(`not within ${limitMs} ms: ${what}`);
}

try {
  const url = await until(START_LIMIT_MS, 'an address to look at', () => {
    return /http:\/\/localhost:\d+/.exec(said)?.[0];
  });
  const left = START_LIMIT_MS - (Date.now() - began);
  // The second is 200 once the table was made and checked.
  for (const path of ['/health', '/health/startup']) {
    await until(left, `200 from ${path}`, async () => {
      const response = await fetch(url + path).catch(() => null);
      return response?.status === 200;
    });
  }
  console.log(`healthy ${Date.now() - began} ms after npm start`);
  const stopped = Date.now();
  gateway.kill('SIGTERM');
  const stop = await Promise.race([ended, delay(STOP_LIMIT_MS, null, { ref: false })]);
  if (!stop) throw new Error(`still running ${STOP_LIMIT_MS} ms after SIGTERM`);
  if (await fetch(url).catch(() => null)) throw new Error('the gateway outlived npm start');
  if (existsSync(join(dataDir, 'postgres', 'postmaster.pid'))) {
    throw new Error('PostgreSQL outlived the gateway');
  }
  console.log(`stopped ${Date.now() - stopped} ms after SIGTERM`);
} catch (error) {
  console.error(error);
  process.exitCode = 1;
  gateway.kill('SIGKILL');
} finally {
  await rm(dataDir, { recursive: true, force: true });
}
