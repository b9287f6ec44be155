/**
 * Records what an outage costs, from a real run, as an animated picture: load on the gateway, its
 * database killed and started again, SIGTERM, and what `verify` then says. Writes
 * `docs/images/outage.json` (what was measured) and `docs/images/outage.svg`.
 * `--draw` only redraws the picture from the recorded figures.
 */
import { execFile, spawn } from 'node:child_process';
import { once } from 'node:events';
import { chmod, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { performance } from 'node:perf_hooks';
import { clearInterval, setInterval } from 'node:timers';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { promisify } from 'node:util';
import { drawOutage } from './draw-outage.js';

const ROOT = join(import.meta.dirname, '..');
const IMAGES = join(ROOT, 'docs', 'images');
const REQUESTS_PER_SECOND = 50;
const SAMPLE_MS = 200;
/** Seconds of load before, without, and after the database. */
const [BEFORE_S, AWAY_S, AFTER_S] = [5, 8, 6];
const LIMIT_MS = 60_000;
const BODY = JSON.stringify({
  model: 'gpt-4o-mini',
  user: 'alice',
  messages: [{ role: 'user', content: 'Hello' }],
});

/** The gateway, as built, on the database given. */
async function startGateway(databaseUrl, folder) {
  const child = spawn(process.execPath, [join(ROOT, 'dist', 'main.js')], {
    cwd: folder,
    env: {
      PATH: process.env.PATH,
      PORT: '0',
      HOST: '127.0.0.1',
      DATABASE_URL: databaseUrl,
      LEDGER_ASYNC_PROFILE: 'medium',
      LEDGER_ASYNC_FLUSH_MS: '200',
    },
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  let said = '';
  child.stdout.setEncoding('utf8').on('data', (text) => (said += text));
  for (const deadline = Date.now() + LIMIT_MS; Date.now() < deadline; await delay(50)) {
    const port = /listens on http:\/\/localhost:(\d+)/.exec(said)?.[1];
    const url = `http://127.0.0.1:${port}`;
    if (port && (await fetch(`${url}/health`)).status === 200) {
      return { child, url, said: () => said };
    }
  }
  child.kill('SIGKILL');
  throw new Error(`the gateway does not answer:\n${said}`);
}

/** Sends requests at a steady rate, independent of the answers; counts these. */
function startLoad(url, counts) {
  const began = performance.now();
  const open = new Set();
  let sent = 0;
  const ask = async () => {
    const response = await fetch(`${url}/v1/chat/completions`, {
      method: 'POST',
      headers: { 'content-type': 'application/json' },
      body: BODY,
    }).catch(() => undefined);
    await response?.arrayBuffer();
    if (response?.ok) counts.answered += 1;
    else counts.refused += 1;
  };
  const timer = setInterval(() => {
    for (; sent < ((performance.now() - began) / 1000) * REQUESTS_PER_SECOND; sent += 1) {
      const asked = ask().finally(() => open.delete(asked));
      open.add(asked);
    }
  }, 10);
  return async () => {
    clearInterval(timer);
    await Promise.all(open);
  };
}

/** Entries that the ledger has written, as it counts them. */
async function readMetrics(url) {
  const text = await (await fetch(`${url}/metrics`)).text();
  const valueOf = (name) => Number(new RegExp(`^${name} (\\d+)`, 'm').exec(text)?.[1]);
  return {
    written: valueOf('ledger_entries_total\\{[^}]*outcome="written"[^}]*\\}'),
  };
}

async function measure() {
  const { startEmbeddedPostgres } = await import('@app/embedded-postgres');
  const folder = await mkdtemp(join(tmpdir(), 'nestjs-ledger-outage-'));
  await chmod(folder, 0o755);
  const server = await startEmbeddedPostgres({ dataDir: join(folder, 'postgres') });
  const gateway = await startGateway(server.url, folder);
  const ended = once(gateway.child, 'exit');
  try {
    const counts = { answered: 0, refused: 0 };
    // The first requests load the tokenizer, which takes a second by itself.
    const endWarmUp = startLoad(gateway.url, counts);
    await delay(1000);
    await endWarmUp();
    const samples = [];
    const began = performance.now();
    const seconds = () => Number(((performance.now() - began) / 1000).toFixed(2));
    const stopLoad = startLoad(gateway.url, counts);
    let isOver = false;
    const sampling = (async () => {
      while (!isOver) {
        const { written } = await readMetrics(gateway.url);
        samples.push({ at: seconds(), ...counts, written });
        await delay(SAMPLE_MS);
      }
    })();
    await delay(BEFORE_S * 1000);
    const killedAt = seconds();
    await server.kill();
    await delay(AWAY_S * 1000);
    await server.restart();
    const backAt = seconds();
    await delay(AFTER_S * 1000);
    await stopLoad();
    const isWritten = () => samples.at(-1).written >= counts.answered;
    while (!isWritten() && seconds() < LIMIT_MS / 1000) await delay(SAMPLE_MS);
    isOver = true;
    await sampling;
    gateway.child.kill('SIGTERM');
    await ended;
    const drained = /drained: .*/.exec(gateway.said())?.[0];
    const command = join(ROOT, 'libs', 'ledger', 'dist', 'esm', 'cli', 'main.js');
    const args = [command, 'verify', '--database-url', server.url, '--grace', '0'];
    const { stdout } = await promisify(execFile)(process.execPath, args, { cwd: folder });
    const run = /^run .*: (queued .*)$/m.exec(stdout)?.[1];
    if (!drained || !run) throw new Error(`unexpected: ${gateway.said()}\n${stdout}`);
    return { killedAt, backAt, ...counts, drained, verify: run, samples };
  } finally {
    gateway.child.kill('SIGKILL');
    await server.dispose();
    await rm(folder, { recursive: true, force: true });
  }
}

const figures = join(IMAGES, 'outage.json');
if (!process.argv.includes('--draw')) {
  await writeFile(figures, `${JSON.stringify(await measure(), null, 1)}\n`);
}
const run = JSON.parse(await readFile(figures, 'utf8'));
await writeFile(join(IMAGES, 'outage.svg'), drawOutage(run));
console.log(`${run.answered} answered, ${run.refused} refused; ${run.verify}`);
