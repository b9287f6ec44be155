/**
 * `npm run start:stream -- [--brokers 1] [--kafka]`: starts servers of NATS or Kafka, a PostgreSQL, and
 * examples/gateways-and-writers as two gateways and a writer; prints their addresses and a request to send. Everything
 * is on this machine only, ends with SIGINT or SIGTERM, and leaves no file behind. It exits with 1 if a program is
 * missing or something does not start.
 */
import { spawnSync } from 'node:child_process';
import { EventEmitter, once } from 'node:events';
import { chmod, mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { setTimeout as delay } from 'node:timers/promises';
import { parseArgs } from 'node:util';
import {
  endProcess,
  findNatsServer,
  HOW_TO_INSTALL,
  startBrokers,
  stopBrokers,
} from './start-stream-brokers.js';
import { findKafka, startKafka, stopKafka } from './start-stream-kafka.js';

const ROOT = join(import.meta.dirname, '..');
const EXAMPLE = join(ROOT, 'examples', 'gateways-and-writers');
const FIRST_PORT = 3000;
const READY_LIMIT_MS = 60_000;
/** The ledger's `shutdownTimeoutMs` (10 s), and requests in flight. */
const STOP_LIMIT_MS = 20_000;
/** A server alone keeps one copy of a message. Three keep three: any one may fail. */
const BROKERS = ['1', '3'];
/** What Nest says about every application. */
const BOOT_LINE = /\[(InstanceLoader|RoutesResolver|RouterExplorer)\]/;

/** Something that the person at the terminal can put right: shown without a stack. */
class StartError extends Error {}

/** What was started, in this order; it ends in the opposite one. */
const started = [];
const signals = new EventEmitter();
let isStopping = false;

function stop() {
  isStopping = true;
  signals.emit('stop');
}

function readArguments() {
  let values;
  try {
    const options = {
      brokers: { type: 'string', default: '3' },
      kafka: { type: 'boolean', default: false },
    };
    ({ values } = parseArgs({ options }));
  } catch (error) {
    throw new StartError(error.message);
  }
  const { brokers, kafka } = values;
  if (BROKERS.includes(brokers)) return { count: Number(brokers), isKafka: kafka };
  throw new StartError(`--brokers must be 1 or 3, and is ${brokers}`);
}

/** What starts the servers of a stream and ends them, and the Node.js that its client needs. */
function requireNatsServer() {
  const program = findNatsServer();
  const start = (parts) => startBrokers({ program, ...parts });
  if (program) return { name: 'nats', node: process.execPath, start, stop: stopBrokers };
  const named = process.env.NATS_SERVER;
  const where = named ? `NATS_SERVER is ${named}, which does not run` : 'it is not installed';
  throw new StartError(`npm run start:stream needs nats-server: ${where}\n${HOW_TO_INSTALL}`);
}

/** The same of Kafka. */
function requireKafka() {
  try {
    const { lib, java, node } = findKafka();
    const start = (parts) => startKafka({ lib, java, ...parts });
    return { name: 'kafka', node, start, stop: stopKafka };
  } catch (error) {
    throw new StartError(error.message);
  }
}

function runNode(script, ...args) {
  const { status } = spawnSync(process.execPath, [join('scripts', script), ...args], {
    cwd: ROOT,
    stdio: 'inherit',
  });
  if (status !== 0) throw new StartError(`scripts/${script} failed`);
}

function build() {
  runNode('build-if-stale.js', 'build:start');
  runNode('transpile.js', 'examples/gateways-and-writers/tsconfig.json');
}

/**
 * The application, in a session of its own: Ctrl-C reaches it through this process, at its turn.
 *
 * @returns where it is, once it is ready; nothing if everything is to end
 */
async function startApp({ name, port, environment, postgres, node }) {
  const { PATH, HOME, TMPDIR } = process.env;
  const command = [node, '--enable-source-maps', join(EXAMPLE, 'dist', 'main.js')];
  const child = postgres.spawnWithLifeline(command, postgres.chooseLifeline(), {
    cwd: EXAMPLE,
    env: { PATH, HOME, TMPDIR, NO_COLOR: '1', PORT: String(port), ...environment },
    stdio: ['ignore', 'pipe', 'pipe'],
  });
  let dashboard;
  for (const stream of [child.stdout, child.stderr]) {
    createInterface({ input: stream }).on('line', (line) => {
      dashboard ??= /http:\S+ledger-token=\S+/.exec(line)?.[0];
      if (!BOOT_LINE.test(line)) console.log(`${name} | ${line}`);
    });
  }
  started.push(() => endProcess(child, 'SIGTERM', STOP_LIMIT_MS));
  for (const end = Date.now() + READY_LIMIT_MS; Date.now() < end; await delay(100)) {
    if (isStopping || child.exitCode !== null || child.signalCode !== null) break;
    const answer = await fetch(`http://127.0.0.1:${port}/health`).catch(() => undefined);
    if (dashboard && answer?.status === 200) {
      return { name, url: `http://localhost:${port}`, dashboard };
    }
  }
  if (isStopping) return undefined;
  throw new StartError(`${name} did not become ready`);
}

function whereToLook({ apps, engine, brokers, databaseUrl }) {
  const [{ url }] = apps;
  const body = JSON.stringify({ user: 7, text: 'good day' });
  const lines = [
    ...apps.map(({ name, dashboard }) => `${name.padEnd(10)} ${dashboard}`),
    `${engine.name.padEnd(10)} ${brokers.map((each) => each.url).join(', ')}`,
    `postgres   ${databaseUrl}`,
    '',
    `curl ${url}/translations -H 'content-type: application/json' -d '${body}'`,
    '',
    'The entry is in the table usage_entries a moment later. Ctrl-C ends everything.',
  ];
  return `\n${lines.map((line) => (line ? `  ${line}` : line)).join('\n')}\n`;
}

async function startAll(count, engine) {
  const folder = await mkdtemp(join(tmpdir(), 'nestjs-ledger-stream-'));
  started.push(() => rm(folder, { recursive: true, force: true }));
  // PostgreSQL may run under another account, which walks through here.
  await chmod(folder, 0o755);
  // Only now is it built.
  const postgres = await import('@app/embedded-postgres');
  const server = await postgres.startEmbeddedPostgres({ dataDir: join(folder, 'postgres') });
  started.push(() => server.dispose());
  const brokers = await engine.start({ folder, count, postgres });
  started.push(() => engine.stop(brokers));
  const servers = brokers.map(({ url }) => url).join(',');
  const common = { LEDGER_ASYNC_STREAM_URL: `${engine.name}://${servers}?replicas=${count}` };
  const files = (name) => ({ LEDGER_ASYNC_SPILL_DIR: join(folder, `spill-${name}`) });
  const roles = [
    { name: 'writer', environment: { LEDGER_DATABASE_URL: server.url } },
    { name: 'gateway-1', environment: { LEDGER_ASYNC_JOURNAL_DIR: join(folder, 'journal-1') } },
    { name: 'gateway-2', environment: { LEDGER_ASYNC_JOURNAL_DIR: join(folder, 'journal-2') } },
  ];
  const apps = [];
  // The writer first: it stops after the gateways, and makes the table before the first request.
  for (const [i, { name, environment }] of roles.entries()) {
    if (isStopping) return;
    const port = await postgres.findFreePort(FIRST_PORT + ((i + roles.length - 1) % roles.length));
    const role = { LEDGER_ASYNC_ROLE: name.replace(/-\d$/, '') };
    const all = { ...common, ...files(name), ...role, ...environment };
    apps.push(await startApp({ name, port, environment: all, postgres, node: engine.node }));
  }
  if (isStopping) return;
  const [writer, ...gateways] = apps;
  const found = { apps: [...gateways, writer], engine, brokers, databaseUrl: server.url };
  console.log(whereToLook(found));
}

/** Ends what was started, the newest first. What can't be ended does not keep the rest running. */
async function stopAll() {
  for (const stop of started.reverse()) {
    await stop().catch((error) => console.error(error.message));
  }
}

try {
  const { count, isKafka } = readArguments();
  const engine = isKafka ? requireKafka() : requireNatsServer();
  build();
  // Ctrl-C may arrive twice, from the terminal and from npm: the second changes nothing.
  for (const signal of ['SIGINT', 'SIGTERM']) process.on(signal, stop);
  await startAll(count, engine);
  if (!isStopping) await once(signals, 'stop');
} catch (error) {
  console.error(error instanceof StartError ? error.message : error);
  process.exitCode = 1;
} finally {
  await stopAll();
}
