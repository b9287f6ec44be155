/**
 * Brokers of Kafka for an example: finds what they need, and starts one broker or a cluster on free ports of this
 * machine, each with a folder of its own. All end with the process that started them.
 */
import { spawn, spawnSync } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { once } from 'node:events';
import { existsSync, openSync, readdirSync, realpathSync } from 'node:fs';
import { readFile, writeFile } from 'node:fs/promises';
import { createConnection } from 'node:net';
import { delimiter, dirname, join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { endProcess } from './start-stream-brokers.js';

/** Of the client. Source: `engines` of @platformatic/kafka 2.12. */
const NODE = [22, 22];
/** Kafka's scripts, with and without Homebrew. */
const SCRIPTS = ['kafka-server-start.sh', 'kafka-server-start'];
/** Where a folder beside the script has the jars: in Kafka's own archive, and in Homebrew's. */
const BESIDE = ['../libs', '../libexec/libs'];
/** The broker itself: `kafka_2.13-4.3.1.jar`. */
const BROKER_JAR = /^kafka_[\d.]+-.*\.jar$/;
/** A small machine, because an example has one topic and three clients. */
const JAVA = ['-Xmx256m', '-XX:+UseSerialGC', '-XX:TieredStopAtLevel=1'];
const START_LIMIT_MS = 60_000;
const STOP_LIMIT_MS = 10_000;
const CLIENT_PORT = 9092;
const CONTROLLER_PORT = 19_092;

const INSTALL_KAFKA = `  macOS            brew install kafka
  others           unpack an archive of https://kafka.apache.org/downloads, and KAFKA_HOME=/path/to/it`;
const INSTALL_JAVA = `  Debian, Ubuntu   apt-get install default-jre-headless
  macOS            brew install openjdk`;
const INSTALL_NODE = `  by npm           npm install --prefix ~/node22 node@22
  others           https://nodejs.org/en/download
Or name a program: KAFKA_NODE=~/node22/node_modules/node/bin/node`;

/**
 * What brokers and their clients run on: a folder of jars (`KAFKA_LIB`, `KAFKA_HOME`, or beside the installed script),
 * Java, and a Node.js for the client (`KAFKA_NODE`, or this one).
 *
 * @throws Error that says what is missing, and how to install it
 */
export function findKafka(environment = process.env) {
  const lib = jarFolders(environment).find(hasBroker);
  const java = environment.JAVA_HOME ? join(environment.JAVA_HOME, 'bin', 'java') : 'java';
  const node = environment.KAFKA_NODE || process.execPath;
  const version = spawnSync(node, ['-p', 'process.versions.node'], { encoding: 'utf8' }).stdout;
  const missing = [];
  if (!lib) missing.push(`Kafka 4: ${whereIsKafka(environment)}`, INSTALL_KAFKA);
  if (spawnSync(java, ['-version'], { stdio: 'ignore' }).status !== 0) {
    missing.push(`Java 17 or later: ${java} does not run`, INSTALL_JAVA);
  }
  if (!isNewEnough(version)) {
    const found = version ? `has version ${version.trim()}` : 'does not run';
    missing.push(
      `Node.js ${NODE.join('.')} or later for its client: ${node} ${found}`,
      INSTALL_NODE,
    );
  }
  if (missing.length === 0) return { lib, java, node };
  throw new Error(['npm run start:stream -- --kafka needs', ...missing].join('\n'));
}

function jarFolders({ KAFKA_LIB, KAFKA_HOME, PATH = '' }) {
  if (KAFKA_LIB) return [KAFKA_LIB];
  if (KAFKA_HOME) return [join(KAFKA_HOME, 'libs'), join(KAFKA_HOME, 'libexec', 'libs')];
  const scripts = PATH.split(delimiter)
    .flatMap((folder) => SCRIPTS.map((name) => join(folder, name)))
    .filter(existsSync);
  return scripts.flatMap((path) => BESIDE.map((way) => join(dirname(realpathSync(path)), way)));
}

function hasBroker(folder) {
  return existsSync(folder) && readdirSync(folder).some((name) => BROKER_JAR.test(name));
}

function whereIsKafka({ KAFKA_LIB, KAFKA_HOME }) {
  if (KAFKA_LIB) return `KAFKA_LIB is ${KAFKA_LIB}, which has no jars of a broker`;
  if (KAFKA_HOME) return `KAFKA_HOME is ${KAFKA_HOME}, which has no jars of a broker in libs`;
  return 'it is not installed';
}

/** @param version null if the program does not run */
function isNewEnough(version) {
  const [major, minor] = (version ?? '').split('.').map(Number);
  return major > NODE[0] || (major === NODE[0] && minor >= NODE[1]);
}

/**
 * Starts brokers, each of which is a controller too, and returns when all listen.
 *
 * @param lib as `findKafka` returns it, like `java`
 * @param folder for what they store and log
 * @param postgres the package `@app/embedded-postgres`, which has free ports and lifelines
 * @throws Error with the end of the log of a broker that does not start
 */
export async function startKafka({ lib, java, folder, count, postgres }) {
  const ports = [];
  for (let i = 0; i < count; i += 1) {
    ports.push({
      client: await postgres.findFreePort(CLIENT_PORT + i),
      controller: await postgres.findFreePort(CONTROLLER_PORT + i),
    });
  }
  const cluster = idOf(randomBytes(16));
  const run = [java, ...JAVA, '-cp', join(lib, '*')];
  const lifeline = postgres.chooseLifeline();
  const brokers = [];
  try {
    await Promise.all(
      ports.map(async ({ client }, i) => {
        const [config, log] = ['properties', 'log'].map((end) =>
          join(folder, `kafka-${i + 1}.${end}`),
        );
        await writeFile(config, configOf(i, ports, join(folder, `kafka-${i + 1}`)));
        await format([...run, 'kafka.tools.StorageTool', 'format', '-t', cluster, '-c', config]);
        const file = openSync(log, 'w');
        const child = postgres.spawnWithLifeline([...run, 'kafka.Kafka', config], lifeline, {
          stdio: ['ignore', file, file],
        });
        brokers[i] = { child, url: `127.0.0.1:${client}`, log };
      }),
    );
    await Promise.all(brokers.map(listening));
  } catch (error) {
    await stopKafka(brokers.filter(Boolean));
    throw error;
  }
  return brokers;
}

function configOf(index, ports, data) {
  const voters = ports.map(({ controller }, i) => `${i + 1}@127.0.0.1:${controller}`);
  const { client, controller } = ports[index];
  return [
    'process.roles=broker,controller',
    `node.id=${index + 1}`,
    `listeners=PLAINTEXT://127.0.0.1:${client},CONTROLLER://127.0.0.1:${controller}`,
    `advertised.listeners=PLAINTEXT://127.0.0.1:${client}`,
    'controller.listener.names=CONTROLLER',
    'listener.security.protocol.map=PLAINTEXT:PLAINTEXT,CONTROLLER:PLAINTEXT',
    `controller.quorum.voters=${voters.join(',')}`,
    `log.dirs=${data}`,
    'auto.create.topics.enable=false',
    'group.initial.rebalance.delay.ms=0',
    'offsets.topic.num.partitions=1',
    `offsets.topic.replication.factor=${ports.length}`,
  ].join('\n');
}

async function format([program, ...args]) {
  const child = spawn(program, args, { stdio: ['ignore', 'pipe', 'pipe'] });
  let said = '';
  for (const stream of [child.stdout, child.stderr]) {
    stream.setEncoding('utf8').on('data', (text) => (said += text));
  }
  const [status] = await once(child, 'close');
  if (status !== 0) throw new Error(`Kafka did not format its folder:\n${said.trim()}`);
}

/** A UUID in Kafka's form; one that begins with `-` would be an option of its tools. */
function idOf(bytes) {
  bytes[0] &= 0x7f;
  return bytes.toString('base64url');
}

async function listening({ child, url, log }) {
  const [host, port] = url.split(':');
  for (const end = Date.now() + START_LIMIT_MS; Date.now() < end; await delay(100)) {
    if (child.exitCode !== null || child.signalCode !== null) break;
    const socket = createConnection(Number(port), host);
    try {
      await once(socket, 'connect');
      return;
    } catch {
      // Not yet.
    } finally {
      socket.destroy();
    }
  }
  const text = await readFile(log, 'utf8');
  throw new Error(`Kafka did not start:\n${text.trim().split('\n').slice(-10).join('\n')}`);
}

/** Ends all brokers at once: those that wait for each other to take their partitions would take minutes. */
export async function stopKafka(brokers) {
  await Promise.all(brokers.map(({ child }) => endProcess(child, 'SIGKILL', STOP_LIMIT_MS)));
}
