/**
 * Servers of NATS for an example: finds the program, and starts one server or a cluster on free ports of this
 * machine, each with a folder of its own. All end with the process that started them.
 */
import { spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { openSync } from 'node:fs';
import { readFile, writeFile } from 'node:fs/promises';
import { createConnection } from 'node:net';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';

/** Debian installs into a folder that is in the PATH of root only. */
const DEBIAN_PATH = '/usr/sbin/nats-server';
const START_LIMIT_MS = 20_000;
const STOP_LIMIT_MS = 10_000;
/** The default ports of clients and of routes between servers. */
const CLIENT_PORT = 4222;
const ROUTE_PORT = 6222;

/** What to do where there is no program. */
export const HOW_TO_INSTALL = `  Debian, Ubuntu   apt-get install nats-server
  macOS            brew install nats-server
  with Go          go install github.com/nats-io/nats-server/v2@latest
  others           https://docs.nats.io/running-a-nats-service/introduction/installation
Or name a program: NATS_SERVER=/path/to/nats-server`;

/** Path of the program in `NATS_SERVER`, or else of the installed one; undefined if it does not run. */
export function findNatsServer(environment = process.env) {
  const named = environment.NATS_SERVER;
  const places = named ? [named] : ['nats-server', DEBIAN_PATH];
  return places.find((path) => spawnSync(path, ['--version'], { stdio: 'ignore' }).status === 0);
}

/** Ends a process, by SIGKILL if it is late. It may have ended before. */
export async function endProcess(child, signal, limitMs) {
  if (child.exitCode !== null || child.signalCode !== null) return;
  const exited = once(child, 'exit');
  child.kill(signal);
  const late = delay(limitMs, 'late', { ref: false });
  if ((await Promise.race([exited, late])) !== 'late') return;
  child.kill('SIGKILL');
  await exited;
}

/**
 * Starts servers, and returns when all listen.
 *
 * @param program as `findNatsServer` returns it
 * @param folder for what they store and log
 * @param postgres the package `@app/embedded-postgres`, which has free ports and lifelines
 * @throws Error with the end of the log of a server that does not start
 */
export async function startBrokers({ program, folder, count, postgres }) {
  const { findFreePort } = postgres;
  const ports = [];
  for (let i = 0; i < count; i += 1) {
    ports.push({
      client: await findFreePort(CLIENT_PORT + i),
      route: await findFreePort(ROUTE_PORT + i),
    });
  }
  const routes = ports.map(({ route }) => `nats-route://127.0.0.1:${route}`).join(', ');
  const lifeline = postgres.chooseLifeline();
  const brokers = [];
  try {
    for (const [i, { client, route }] of ports.entries()) {
      const [config, log] = [join(folder, `nats-${i + 1}.conf`), join(folder, `nats-${i + 1}.log`)];
      const cluster = `cluster { name: ledger, listen: "127.0.0.1:${route}", routes: [${routes}] }`;
      const lines = [
        `server_name: nats-${i + 1}`,
        `listen: "127.0.0.1:${client}"`,
        `jetstream { store_dir: ${JSON.stringify(join(folder, `nats-${i + 1}`))} }`,
        ...(count > 1 ? [cluster] : []),
      ];
      await writeFile(config, lines.join('\n'));
      const file = openSync(log, 'w');
      const child = postgres.spawnWithLifeline([program, '-c', config], lifeline, {
        stdio: ['ignore', file, file],
      });
      brokers.push({ child, url: `127.0.0.1:${client}`, log });
    }
    await Promise.all(brokers.map(listening));
  } catch (error) {
    await stopBrokers(brokers);
    throw error;
  }
  return brokers;
}

/** Ends all servers. */
export async function stopBrokers(brokers) {
  await Promise.all(brokers.map(({ child }) => endProcess(child, 'SIGINT', STOP_LIMIT_MS)));
}

async function listening({ child, url, log }) {
  const [host, port] = url.split(':');
  for (const end = Date.now() + START_LIMIT_MS; Date.now() < end; await delay(50)) {
    if (child.exitCode !== null || child.signalCode !== null) break;
    const socket = createConnection(Number(port), host);
    try {
      await once(socket, 'data');
      return;
    } catch {
      // Not yet.
    } finally {
      socket.destroy();
    }
  }
  const text = await readFile(log, 'utf8');
  throw new Error(`nats-server did not start:\n${text.trim().split('\n').slice(-10).join('\n')}`);
}
