/**
 * `node hostile-load.js <url> <key> <requests> <at once>`: sends requests that are made to hold up or to fill the
 * gateway, and prints the status of each as JSON; null where none came or the client left. A process of its own:
 * what making and sending them takes is no fault of the gateway's.
 */
import { Buffer } from 'node:buffer';
import { once } from 'node:events';
import { Agent, request } from 'node:http';
import { connect } from 'node:net';
import { setTimeout as delay } from 'node:timers/promises';

const [url, key, requests, atOnce] = process.argv.slice(2);
const MIB = 1024 * 1024;

/** Silence after which a client gives up, and the time after which an impatient one leaves. */
const TIMEOUT_MS = 10_000;
const PATIENCE_MS = 200;

const chat = (content, more = {}) =>
  JSON.stringify({ model: 'gpt-4o', messages: [{ role: 'user', content }], ...more });

const BODIES = {
  tools: `{"model":"gpt-4o","messages":[],"tools":[${'{},'.repeat(5_590_000)}{}]}`,
  choices: chat('x'.repeat(MIB), { n: 128 }),
  stream: chat('word '.repeat(500), { n: 128, stream: true }),
  text: chat('word '.repeat(3_300_000)),
  letters: chat('x'.repeat(16 * MIB - 100)),
  escapes: `{"model":"gpt-4o","messages":[{"role":"user","content":"${'\\u00e9'.repeat(2_600_000)}"}]}`,
  messages: JSON.stringify({
    model: 'gpt-4o',
    messages: Array(24_000).fill({ role: 'user', content: 'Hi' }),
  }),
  nesting: `{"model":"gpt-4o","messages":${'['.repeat(1e6)}${']'.repeat(1e6)}}`,
  fields: `{"model":"gpt-4o",${Array.from({ length: 1e6 }, (_, n) => `"k${n}":0`).join(',')}}`,
  stops: chat('Hi', { stop: Array(300_000).fill('a') }),
};
for (const name of Object.keys(BODIES)) BODIES[name] = Buffer.from(BODIES[name]);

/** A connection for each request: one that the gateway closed meanwhile would lose it unseen, and unbooked. */
const agent = new Agent({ keepAlive: false });

/** Sends a body; its status, or null if none came. */
function send(body) {
  return new Promise((resolve) => {
    const headers = {
      authorization: `Bearer ${key}`,
      'content-type': 'application/json',
      'content-length': body.length,
    };
    const options = { method: 'POST', agent, headers };
    const sent = request(`${url}/v1/chat/completions`, options, (answer) => {
      const done = () => resolve(answer.statusCode);
      answer.resume().once('end', done).once('close', done).once('error', done);
    });
    sent.once('error', () => resolve(null)).setTimeout(TIMEOUT_MS, () => sent.destroy());
    sent.end(body);
  });
}

/** Sends some bytes of a body once the gateway has its head, reads no answer, and leaves after a while. */
async function sendSome(body, bytes) {
  const socket = connect(Number(new URL(url).port), '127.0.0.1').on('error', () => {});
  socket.write(
    `POST /v1/chat/completions HTTP/1.1\r\nhost: localhost\r\ncontent-type: application/json\r\n` +
      `authorization: Bearer ${key}\r\ncontent-length: ${body.length}\r\nexpect: 100-continue\r\n\r\n`,
  );
  await once(socket, 'data');
  socket.pause();
  socket.write(body.subarray(0, bytes));
  await delay(PATIENCE_MS);
  socket.destroy();
  return null;
}

const tricks = [
  ...Object.values(BODIES).map((body) => () => send(body)),
  () => sendSome(BODIES.text, 100),
  () => sendSome(BODIES.text, 8 * MIB),
  () => sendSome(BODIES.stream, BODIES.stream.length),
];
const statuses = [];
let next = 0;

async function attack() {
  while (next < Number(requests)) {
    const trick = tricks[next % tricks.length];
    next += 1;
    statuses.push(await trick());
  }
}

await Promise.all(Array.from({ length: Number(atOnce) }, attack));
agent.destroy();
process.stdout.write(JSON.stringify(statuses));
