import { once } from 'node:events';
import { connect as dial, createServer, type AddressInfo, type Socket } from 'node:net';
import { expect, it, onTestFinished } from 'vitest';
import { jetstreamManager } from '@nats-io/jetstream';
import { connect } from '@nats-io/transport-node';
import { contentOf, KNOWN, message } from '../sink-kit/stream-trial.js';
import { jetStream } from './create-jet-stream.js';
import { findNatsPrograms, NatsServers } from './fixtures/nats-servers.fixture.js';

const [program] = findNatsPrograms();
const TOPIC = { ledger: 'conformance', fingerprint: KNOWN };
const STREAM = 'ledger-conformance';
const MESSAGE = 'cut after this message';

/** A way to a server that carries no more requests once the server has sent the message. */
async function cutBehind(address: string): Promise<string> {
  const { hostname, port } = new URL(address);
  let isCut = false;
  const sockets: Socket[] = [];
  const proxy = createServer((client) => {
    const server = dial(Number(port), hostname);
    sockets.push(client, server);
    for (const each of [client, server]) each.on('error', () => undefined);
    client.on('data', (bytes) => void (isCut || server.write(bytes)));
    server.on('data', (bytes) => {
      isCut ||= bytes.includes(MESSAGE);
      client.write(bytes);
    });
  });
  proxy.listen(0, '127.0.0.1');
  await once(proxy, 'listening');
  onTestFinished(() => {
    for (const each of sockets) each.destroy();
    proxy.close();
  });
  return `nats://127.0.0.1:${(proxy.address() as AddressInfo).port}`;
}

it.skipIf(program === undefined)(
  'a message that came is delivered, although the request for more of them fails',
  async () => {
    const servers = await NatsServers.start(program!);
    onTestFinished(() => servers.stop());
    const nc = await connect({ servers: servers.addresses });
    onTestFinished(() => nc.close());
    const manager = await jetstreamManager(nc);
    const options = { replicas: 1, maxBytes: 100_000_000, ackWaitMs: 60_000 };
    const writer = jetStream({ servers: await cutBehind(servers.addresses[0]!), ...options });
    const gateway = jetStream({ servers: servers.addresses, ...options });
    onTestFinished(async () => void (await Promise.all([writer.close(), gateway.close()])));
    await writer.open({ ...TOPIC, reads: () => true });
    await gateway.open(TOPIC);
    const limits = { messages: 10, bytes: 1_000_000, waitMs: 10_000 };
    const taking = writer.take(limits, new AbortController().signal);
    // The writer waits for the first message.
    const waiting = async () => (await manager.consumers.info(STREAM, KNOWN)).num_waiting;
    await expect.poll(waiting, { timeout: 10_000 }).toBe(1);
    await gateway.publish(message(MESSAGE), 5000);
    expect((await taking).map(contentOf)).toEqual([MESSAGE]);
  },
  30_000,
);
