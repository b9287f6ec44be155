import { randomUUID } from 'node:crypto';
import { execFile, spawn, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { Agent, request, type IncomingMessage } from 'node:http';
import { connect, type Socket } from 'node:net';
import { setTimeout as pause } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { DataSource } from 'typeorm';
import { afterAll, beforeAll, describe, expect, inject, it } from 'vitest';
import type { LedgerStats } from 'nestjs-ledger';
import { PATIENCE } from '../support/patience.js';
import { transpileFolder } from '../support/transpile.js';

const ROOT = fileURLToPath(new URL('../..', import.meta.url));
const CLIENTS = 50;
const SHUTDOWN_MS = 5000;
const schema = `lifecycle_${randomUUID().slice(0, 8)}`;
const databaseUrl = inject('databaseUrl');

let admin: DataSource;
let folder: string;

beforeAll(async () => {
  await promisify(execFile)(process.execPath, ['scripts/build-if-stale.js'], { cwd: ROOT });
  folder = await transpileFolder(fileURLToPath(new URL('.', import.meta.url)));
  admin = await new DataSource({ type: 'postgres', url: databaseUrl }).initialize();
}, 180_000);

afterAll(async () => {
  await admin.query(`DROP SCHEMA IF EXISTS ${schema} CASCADE`);
  await admin.destroy();
});

/** The slow application in a process of its own. */
class SlowApp {
  output = '';
  readonly exited: Promise<unknown>;

  private constructor(readonly child: ChildProcess) {
    this.exited = once(child, 'exit');
  }

  get url(): string {
    return /listens on (\S+)/.exec(this.output)![1]!;
  }

  static async start(environment: Record<string, string>): Promise<SlowApp> {
    const { PATH, HOME } = process.env;
    const child = spawn(process.execPath, [fileURLToPath(new URL('slow-app.js', folder))], {
      cwd: ROOT,
      env: {
        ...{ PATH, HOME, NO_COLOR: '1', DATABASE: databaseUrl, SCHEMA: schema },
        SHUTDOWN_MS: `${SHUTDOWN_MS}`,
        ...environment,
      },
      stdio: ['pipe', 'pipe', 'pipe'],
    });
    const app: SlowApp = new SlowApp(child);
    for (const stream of [child.stdout, child.stderr]) {
      stream.setEncoding('utf8').on('data', (text: string) => (app.output += text));
    }
    while (!app.output.includes('listens on')) {
      if (child.exitCode !== null) throw new Error(`it ended:\n${app.output}`);
      await Promise.race([once(child.stdout, 'data'), app.exited]);
    }
    return app;
  }

  /** The ledger's figures when all other hooks were over. */
  get stats(): LedgerStats {
    return JSON.parse(/^STATS (.*)$/m.exec(this.output)![1]!) as LedgerStats;
  }
}

/** What the clients saw. */
class Seen {
  readonly answered = new Set<string>();
  lastAnswerAt = 0;

  ok(uuid: string): void {
    this.answered.add(uuid);
    this.lastAnswerAt = Date.now();
  }
}

/** One request; resolves to its status, or 0 if the connection failed. */
function send(url: string, method: string, agent: Agent): Promise<number> {
  return new Promise((resolve) => {
    const sent = request(url, { method, agent }, (response) => {
      response.resume();
      response.on('end', () => resolve(response.statusCode ?? 0));
      response.on('error', () => resolve(0));
    });
    sent.on('error', () => resolve(0));
    sent.end();
  });
}

async function ask(app: SlowApp, agent: Agent, ms: number): Promise<IncomingMessage> {
  const url = `${app.url}/record?uuid=${randomUUID()}&ms=${ms}`;
  const sent = request(url, { method: 'POST', agent }).end();
  const [response] = (await once(sent, 'response')) as [IncomingMessage];
  return response.resume();
}

/** Asks again and again on a kept connection until the server is gone. */
async function client(app: SlowApp, seen: Seen, path: string): Promise<void> {
  const agent = new Agent({ keepAlive: true, maxSockets: 1 });
  for (;;) {
    const uuid = randomUUID();
    const status = await send(`${app.url}/${path}?uuid=${uuid}`, 'POST', agent);
    if (status < 200 || status >= 300) break;
    seen.ok(uuid);
  }
  agent.destroy();
}

/** Resolves when the answer has begun. @returns `status`: at its end, or 0 if it was cut */
async function stream(app: SlowApp, seen: Seen): Promise<{ status: Promise<number> }> {
  const uuid = randomUUID();
  const sent = request(`${app.url}/stream?uuid=${uuid}`, { agent: new Agent() }).end();
  const [response] = (await once(sent, 'response')) as [IncomingMessage];
  const ended = once(response.resume(), 'end').then(
    () => response.statusCode ?? 0,
    () => 0,
  );
  const status = ended.then((code) => {
    if (code === 200) seen.ok(uuid);
    return code;
  });
  return { status };
}

/** A connection on which this was sent. */
function half(app: SlowApp, text: string): Socket {
  const socket = connect(Number(new URL(app.url).port), '127.0.0.1');
  socket
    .on('error', () => undefined)
    .resume()
    .write(text);
  return socket;
}

/** Connections that asked once and then keep silent. */
function idleClients(app: SlowApp, count: number): void {
  const { port } = new URL(app.url);
  for (let i = 0; i < count; i++) {
    const socket = connect(Number(port), '127.0.0.1');
    socket.on('error', () => undefined);
    socket.write('GET /nothing HTTP/1.1\r\nHost: here\r\n\r\n');
  }
}

/** Connections that were opened ahead of a request which never comes. */
function silentClients(app: SlowApp, count: number): void {
  const { port } = new URL(app.url);
  for (let i = 0; i < count; i++) connect(Number(port), '127.0.0.1').on('error', () => undefined);
}

async function missing(uuids: Iterable<string>): Promise<string[]> {
  const rows: { uuid: string }[] = await admin.query(`SELECT uuid FROM ${schema}.usage_entries`);
  const written = new Set(rows.map(({ uuid }) => uuid));
  return [...uuids].filter((uuid) => !written.has(uuid));
}

describe.each([
  { ADAPTER: 'fastify', POOL: 'own', END: 'signal' },
  { ADAPTER: 'express', POOL: 'application', END: 'signal' },
  { ADAPTER: 'fastify', POOL: 'application', END: 'close' },
])('a stop in the middle of requests ($ADAPTER, $POOL pool, by $END)', (environment) => {
  it('has the row of every answered request, and ends by itself', async () => {
    const app = await SlowApp.start(environment);
    const seen = new Seen();
    idleClients(app, 5);
    silentClients(app, 5);
    const clients = Array.from({ length: CLIENTS }, (_, i) =>
      client(app, seen, i % 2 === 0 ? 'record' : 'decorated'),
    );
    await expect.poll(() => seen.answered.size, PATIENCE).toBeGreaterThan(CLIENTS * 2);
    const streaming = await stream(app, seen);
    if (environment.END === 'signal') app.child.kill('SIGTERM');
    else app.child.stdin!.write('close');
    await Promise.all(clients);
    expect(await streaming.status).toBe(200);
    await app.exited;
    const afterLastAnswerMs = Date.now() - seen.lastAnswerAt;

    expect(seen.answered.size).toBeGreaterThan(CLIENTS * 2);
    expect(await missing(seen.answered)).toEqual([]);
    expect(afterLastAnswerMs).toBeLessThan(SHUTDOWN_MS);
    const { stats } = app;
    expect(stats).toMatchObject({ state: 'sealed', depth: 0, inFlight: 0, spilled: 0, sealed: 0 });
    expect(stats.written).toBe(stats.queued);
    expect(stats.queued).toBeGreaterThanOrEqual(seen.answered.size);
    const drained =
      /\[async-ledger\] drained: (\d+) written, 0 duplicate, 0 dead-lettered, 0 spilled in \d+ms/;
    const written = Number(drained.exec(app.output)?.[1]);
    expect(written, 'the stream and the last requests, at least').toBeGreaterThan(1);
    expect(written).toBeLessThanOrEqual(stats.written);
  });
});

describe.each(['fastify', 'express'])('a stop while a slow client is answered (%s)', (ADAPTER) => {
  it('sends all of an answer that is complete, and ends other connections with theirs', async () => {
    const app = await SlowApp.start({ ADAPTER, POOL: 'own', END: 'signal' });
    const uuid = randomUUID();
    let received = 0;
    const slow = connect(Number(new URL(app.url).port), '127.0.0.1').pause();
    slow.on('data', (bytes) => (received += bytes.length));
    slow.write(`GET /large?uuid=${uuid}&ms=2000 HTTP/1.1\r\nHost: here\r\n\r\n`);
    await pause(500);
    const agent = new Agent({ keepAlive: true, maxSockets: 1 });
    const busy = ask(app, agent, 2000);
    await pause(500);
    app.child.kill('SIGTERM');
    expect((await busy).headers.connection).toBe('keep-alive');
    // Nothing is idle as long as somebody is still being sent an answer; it ends all the same.
    expect((await ask(app, agent, 0)).headers.connection).toBe('close');
    await pause(1000);
    slow.resume();
    await app.exited;
    expect(received).toBeGreaterThan(20_000_000);
    expect(await missing([uuid])).toEqual([]);
  });
});

describe.each(['fastify', 'express'])('a stop while requests are half sent (%s)', (ADAPTER) => {
  it('ends them once nothing more came for five seconds, and waits for all others', async () => {
    const app = await SlowApp.start({ ADAPTER, POOL: 'own', END: 'signal' });
    const post = (uuid: string): string =>
      `POST /record?uuid=${uuid}&ms=0 HTTP/1.1\r\nHost: here\r\n`;
    const uuid = randomUUID();
    const halves = [
      'POST /record?uuid=',
      `${post(randomUUID())}Content-Type: application/json\r\nContent-Length: 10\r\n\r\n{"a":`,
      `${post(uuid)}Content-Length: 0\r\n\r\nPOST /rec`,
    ].map((text) => half(app, text));
    const slow = ask(app, new Agent(), 8000);
    const trickle = half(app, `${post(randomUUID())}X-Slow: `);
    let answer = '';
    trickle.on('data', (bytes) => (answer += bytes.toString()));
    await pause(500);
    app.child.kill('SIGTERM');
    for (let i = 0; i < 7; i++) {
      await pause(1000);
      trickle.write('x');
    }
    expect(halves.map((socket) => socket.closed)).toEqual([true, true, true]);
    trickle.write('\r\nContent-Length: 0\r\n\r\n');
    expect((await slow).statusCode).toBe(201);
    await app.exited;
    // Fastify takes no more requests while it closes.
    expect(answer).toMatch(/^HTTP\/1\.1 (201|503) /);
    expect(await missing([uuid])).toEqual([]);
    const written = answer.includes(' 201 ') ? 3 : 2;
    expect(app.stats).toMatchObject({ state: 'sealed', queued: written, written });
  });
});

describe.each(['fastify', 'express'])('a stop whose last client leaves (%s)', (ADAPTER) => {
  it.each(['destroy', 'resetAndDestroy', 'end'] as const)('by %s has its entry', async (way) => {
    const app = await SlowApp.start({ ADAPTER, POOL: 'own', END: 'signal' });
    const uuid = randomUUID();
    const client = half(app, `GET /stream?uuid=${uuid} HTTP/1.1\r\nHost: here\r\n\r\n`);
    await once(client, 'data');
    app.child.kill('SIGTERM');
    await pause(300);
    client[way]();
    await app.exited;
    expect(await missing([uuid])).toEqual([]);
    expect(app.stats).toMatchObject({ state: 'sealed', offered: 1, sealed: 0, written: 1 });
  });
});

describe('an application without shutdown hooks', () => {
  it('is warned once, some seconds after its start', async () => {
    const app = await SlowApp.start({ ADAPTER: 'fastify', POOL: 'own', HOOKS: 'off' });
    await expect.poll(() => app.output, PATIENCE).toContain('nobody listens for SIGTERM');
    await pause(1000);
    app.child.kill('SIGKILL');
    await app.exited;
    expect(app.output.match(/nobody listens for SIGTERM/g)).toHaveLength(1);
  });
});
