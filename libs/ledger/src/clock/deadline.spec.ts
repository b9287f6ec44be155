import { once } from 'node:events';
import { createServer, Socket, type AddressInfo } from 'node:net';
import { Worker } from 'node:worker_threads';
import { afterEach, describe, expect, it } from 'vitest';
import { Deadline, DeadlineError } from './deadline.js';

const LIMIT_MS = 100;
const HELD_MS = 300;

const ends: (() => unknown)[] = [];
afterEach(async () => {
  for (const end of ends.splice(0)) await end();
});

/** Answers each byte at once, in a thread: this one is held up. */
const ECHO = `
  const { createServer } = require('node:net');
  const { parentPort } = require('node:worker_threads');
  const server = createServer((socket) => socket.pipe(socket)).listen(0, '127.0.0.1', () => {
    parentPort.postMessage(server.address().port);
  });`;

async function connectToEcho(): Promise<Socket> {
  const worker = new Worker(ECHO, { eval: true });
  ends.push(() => worker.terminate());
  const [port] = (await once(worker, 'message')) as [number];
  return connectTo(port);
}

async function connectTo(port: number): Promise<Socket> {
  const socket = new Socket().connect(port, '127.0.0.1');
  ends.unshift(() => socket.destroy());
  await once(socket, 'connect');
  return socket;
}

function hold(): void {
  const end = performance.now() + HELD_MS;
  while (performance.now() < end);
}

describe('a deadline', () => {
  it('passes an answer that arrived in time, although the process was held up until later', async () => {
    const [socket, other] = [await connectToEcho(), await connectToEcho()];
    const raced = new Deadline(LIMIT_MS).race(once(socket, 'data'));
    // What one socket brings holds the process up; then come the timers, and then the other socket.
    other.once('data', () => {
      socket.write('x');
      hold();
    });
    other.write('y');
    expect(String(await raced)).toBe('x');
  });

  it('rejects if there is no answer', async () => {
    const server = createServer().listen(0, '127.0.0.1');
    ends.push(() => server.close());
    await once(server, 'listening');
    const socket = await connectTo((server.address() as AddressInfo).port);
    const raced = new Deadline(LIMIT_MS).race(once(socket, 'data'));
    await expect(raced).rejects.toThrow(DeadlineError);
  });
});
