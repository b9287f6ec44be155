import { describe, expect, it } from 'vitest';
import { defineLedger } from '../index.js';
import { jetStream } from '../nats/create-jet-stream.js';
import { findNatsPrograms, NatsServers } from '../nats/fixtures/nats-servers.fixture.js';
import { describeStreamCommands } from './fixtures/stream-commands.fixture.js';
import { checkStream, judgeSafety } from './stream-check.js';

const [program] = findNatsPrograms();

describeStreamCommands(
  'NATS',
  program === undefined ? 'needs nats-server' : undefined,
  async () => {
    const servers = await NatsServers.start(program!);
    const address = `nats://${new URL(servers.addresses[0]!).host}?replicas=1&maxBytes=100000000`;
    return {
      url: (stream) => (stream === undefined ? address : `${address}&stream=${stream}`),
      connect: (stream) =>
        jetStream({
          ...{ servers: servers.addresses, replicas: 1, maxBytes: 100_000_000 },
          ...(stream === undefined ? {} : { stream }),
        }),
      settings:
        'num_replicas=1, retention=workqueue, discard=new, storage=file, max_bytes=100000000',
      stop: () => servers.stop(),
    };
  },
);

describe('the address of a stream', () => {
  const usage = defineLedger({ name: 'usage' });

  it.each([
    ['amqp://u:secret@h', 'must begin with nats://, tls:// or kafka://'],
    ['kafka://u:secret@h', 'needs a user, a password and sasl='],
    ['kafka://u:secret@h?ackWaitMs=1', 'has an option ackWaitMs'],
  ])('is refused without its password: %s', async (address, rule) => {
    const error: unknown = await checkStream(address, usage).catch((reason: unknown) => reason);
    expect(String(error)).toContain(`the stream's address (--stream) ${rule}`);
    expect(String(error)).not.toContain('secret');
  });

  // A newer one is met in the tests of Kafka.
  it.skipIf(Number(process.versions.node.split('.')[0]) >= 22)(
    'names the version of Node.js that its client needs',
    async () => {
      const looking = checkStream('kafka://127.0.0.1:9', usage);
      await expect(looking).rejects.toThrow('needs Node.js 22.22 or later');
    },
  );
});

describe('what doctor says of copies', () => {
  it.each([
    [{ copies: 1, syncs: false }, 'warning', 'one copy of each message: no server may be lost'],
    [{ copies: 3, syncs: false }, 'warning', 'acknowledged before they are synced, so a loss'],
    [{ copies: 3, syncs: undefined }, 'warning', 'is not known from here, so a loss of power'],
    [{ copies: 3, syncs: true }, 'ok', 'one server may be lost; they are synced before'],
    [{ copies: 3, syncs: true, inSync: 2 }, 'warning', '2 of 3 copies are up to date'],
    [{ copies: 3, syncs: true, acknowledgedBy: 1 }, 'fault', 'acknowledged once one server has it'],
    [{ copies: 3, syncs: true, acknowledgedBy: 3 }, 'warning', 'nothing is published while one'],
  ])('%o: %s', (safety, status, text) => {
    const { status: found, message } = judgeSafety(safety).at(-1)!;
    expect(found).toBe(status);
    expect(message).toContain(text);
  });

  it('lists the settings that it read', () => {
    const settings = { 'min.insync.replicas': '2', 'retention.ms': '-1' };
    const { message } = judgeSafety({ copies: 3, syncs: true, settings }).at(-1)!;
    expect(message).toBe('min.insync.replicas=2, retention.ms=-1');
  });
});
