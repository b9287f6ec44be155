import { setTimeout as delay } from 'node:timers/promises';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { DiscardPolicy, jetstreamManager, type JetStreamManager } from '@nats-io/jetstream';
import { connect, type NatsConnection } from '@nats-io/transport-node';
import { isLedgerError } from '../errors/is-ledger-error.js';
import type { LedgerStream } from '../ports/ledger-stream.interface.js';
import { describeStreamConformance } from '../sink-kit/stream-conformance.js';
import { KNOWN, message } from '../sink-kit/stream-trial.js';
import { jetStream } from './create-jet-stream.js';
import { findNatsPrograms, NatsServers } from './fixtures/nats-servers.fixture.js';

const programs = findNatsPrograms();
const TOPIC = { ledger: 'conformance', fingerprint: KNOWN };
const failure = (work: Promise<unknown>): Promise<unknown> =>
  work.then(
    () => undefined,
    (error: unknown) => error,
  );

// Without a program one test reports which is missing.
if (programs.length === 0) it.skip('nats-server is not installed');

describe.each(programs)('JetStream, nats-server $version', (program) => {
  let servers: NatsServers;
  let nc: NatsConnection;
  let manager: JetStreamManager;
  let number = 0;

  beforeAll(async () => {
    servers = await NatsServers.start(program);
    nc = await connect({ servers: servers.addresses });
    manager = await jetstreamManager(nc);
  });

  afterAll(async () => {
    await nc?.close();
    await servers?.stop();
  });

  const stream = (more = {}): LedgerStream =>
    jetStream({
      servers: servers.addresses,
      replicas: 1,
      maxBytes: 100_000_000,
      ackWaitMs: 1000,
      ...more,
    });

  describeStreamConformance(
    'JetStream',
    async () => {
      const name = `conformance-${number++}`;
      return {
        connect: () => stream({ stream: name }),
        block: async () => {
          await servers.signal(0, 'SIGSTOP');
          return () => servers.signal(0, 'SIGCONT');
        },
        dispose: async () => void (await manager.streams.delete(name)),
      };
    },
    { runner: { describe, it } },
  );

  /** Opens a new stream, and ends it with the test. */
  async function withStream(
    more: object,
    test: (gateway: LedgerStream, name: string) => Promise<void>,
  ): Promise<void> {
    const name = `test-${number++}`;
    const gateway = stream({ stream: name, ...more });
    try {
      await test(gateway, name);
    } finally {
      await gateway.close();
      await manager.streams.delete(name).catch(() => undefined);
    }
  }

  it('restarts the time of a consumer that an earlier writer made with another one', async () => {
    await withStream({}, async (_gateway, name) => {
      const reader = { ...TOPIC, reads: () => true };
      const ms: number[] = [];
      for (const ackWaitMs of [1000, 60_000]) {
        const writer = stream({ stream: name, ackWaitMs });
        await writer.open(reader);
        const { config } = await manager.consumers.info(name, KNOWN);
        expect(writer.redeliverMs * 1_000_000).toBe(config.ack_wait);
        ms.push(writer.redeliverMs);
        await writer.close();
      }
      // Version 2.9 changes the consumer.
      expect(ms).toEqual([1000, program.version.startsWith('2.9.') ? 60_000 : 1000]);
    });
  });

  // A server of version 2.10 drops a message by its id that it refused before.
  it('stores a message as often as it is published, because it has no id', async () => {
    await withStream({}, async (gateway, name) => {
      await gateway.open(TOPIC);
      const same = message('one');
      for (let i = 0; i < 2; i++) await gateway.publish(same, 5000);
      const stored = await manager.streams.getMessage(name, { last_by_subj: '>' });
      expect(stored!.header.has('Nats-Msg-Id')).toBe(false);
      expect(await gateway.backlog(5000)).toMatchObject({ messages: 2 });
    });
  });

  it('makes a stream that is full only with a backlog', async () => {
    await withStream({}, async (gateway, name) => {
      await gateway.open(TOPIC);
      const { config } = await manager.streams.info(name);
      expect(config).toMatchObject({
        retention: 'workqueue',
        discard: 'new',
        num_replicas: 1,
        storage: 'file',
      });
      expect(config.max_bytes).toBe(100_000_000);
    });
  });

  it('reports to a gateway that the stream is full, and accepts messages again once there is room', async () => {
    await withStream({ maxBytes: 1_048_576 }, async (gateway, name) => {
      await gateway.open(TOPIC);
      const large = (): Promise<void> => gateway.publish(message('x'.repeat(200_000)), 5000);
      let error: unknown;
      for (let i = 0; i < 10 && error === undefined; i++) error = await failure(large());
      expect(isLedgerError(error, 'SINK_TRANSIENT') && error.outcomeKnown).toBe(true);
      expect((error as Error).message).toBe('the stream has no room: maximum bytes exceeded');
      await manager.streams.purge(name);
      await large();
    });
  });

  it('halts if the stream was deleted, and continues after it was made again', async () => {
    await withStream({}, async (gateway, name) => {
      await gateway.open(TOPIC);
      const { config } = await manager.streams.info(name);
      await manager.streams.delete(name);
      const error = await failure(gateway.publish(message('gone'), 2000));
      expect(isLedgerError(error, 'SINK_HALT')).toBe(true);
      expect((error as Error).message).toContain(`there is no stream ${name} any more`);
      await manager.streams.add(config);
      await gateway.publish(message('back'), 5000);
    });
  });

  it('halts while a person lets the stream lose messages', async () => {
    await withStream({}, async (gateway, name) => {
      await gateway.open(TOPIC);
      const { config } = await manager.streams.info(name);
      await manager.streams.update(name, { ...config, discard: DiscardPolicy.Old });
      for (const look of [() => gateway.backlog(5000), () => gateway.ping(5000)]) {
        expect((await failure(look())) as Error).toMatchObject({
          code: 'SINK_HALT',
          message: expect.stringContaining('it needs discard: new') as string,
        });
      }
      const error = await failure(gateway.publish(message('lost'), 5000));
      expect(isLedgerError(error, 'SINK_HALT')).toBe(true);
      await manager.streams.update(name, config);
      await gateway.publish(message('kept'), 5000);
      expect((await manager.streams.info(name)).state.messages).toBe(1);
    });
  });

  it('halts if copies are requested from a single server', async () => {
    await withStream({ replicas: 3 }, async (gateway) => {
      const error = await failure(gateway.open(TOPIC));
      expect(isLedgerError(error, 'SINK_HALT')).toBe(true);
      expect((error as Error).message).toContain('set replicas: 1, or name a cluster');
    });
  });

  it('halts without a stream if it may not make one', async () => {
    await withStream({ create: false }, async (gateway) => {
      expect(isLedgerError(await failure(gateway.open(TOPIC)), 'SINK_HALT')).toBe(true);
    });
  });

  it('is unreachable, and not halted, without a listening server', async () => {
    await withStream({ servers: 'nats://127.0.0.1:9' }, async (gateway) => {
      const error = await failure(gateway.open(TOPIC));
      expect(isLedgerError(error, 'SINK_TRANSIENT') && error.outcomeKnown).toBe(true);
    });
  });

  it('treats a late answer like an empty one, and asks again', async () => {
    await withStream({}, async (writer) => {
      await writer.open({ ...TOPIC, reads: () => true });
      await writer.publish(message('one'), 5000);
      const limits = { messages: 1, bytes: 1_000_000, waitMs: 10_000 };
      await servers.signal(0, 'SIGSTOP');
      const taking = writer.take(limits, new AbortController().signal);
      // Longer than a request waits for its answer, shorter than the look for the reason.
      await delay(1_300);
      await servers.signal(0, 'SIGCONT');
      const [taken] = await taking;
      expect(taken?.payload.toString()).toBe('one');
      taken!.done();
    });
  });

  it('returns messages under way to a writer that closes', async () => {
    // So long that messages which are not returned are not delivered again within the test.
    await withStream({ ackWaitMs: 120_000 }, async (gateway, stream_) => {
      await gateway.open(TOPIC);
      const { signal } = new AbortController();
      const limits = { messages: 10, bytes: 1_000_000, waitMs: 5000 };
      for (let round = 0; round < 20; round++) {
        const [closing, other] = [1, 2].map(() => stream({ stream: stream_, ackWaitMs: 120_000 }));
        await closing!.open({ ...TOPIC, reads: () => true });
        const abort = new AbortController();
        const taking = closing!.take(limits, abort.signal);
        await delay(20);
        abort.abort();
        expect(await taking).toEqual([]);
        const sent = ['a', 'b', 'c'].map((text) => gateway.publish(message(text), 5000));
        await Promise.all([closing!.close(), ...sent]);
        await other!.open({ ...TOPIC, reads: () => true });
        const seen: string[] = [];
        for (let i = 0; i < 3 && seen.length < 3; i++) {
          const taken = await other!.take(limits, signal);
          seen.push(...taken.map(({ payload }) => payload.toString()));
          for (const each of taken) each.done();
        }
        expect(seen.sort()).toEqual(['a', 'b', 'c']);
        await other!.close();
      }
    });
  });

  it('makes a deleted consumer again', async () => {
    await withStream({}, async (writer, name) => {
      await writer.open({ ...TOPIC, reads: () => true });
      await manager.consumers.delete(name, KNOWN);
      const signal = new AbortController().signal;
      const take = () => writer.take({ messages: 1, bytes: 1_000_000, waitMs: 10_000 }, signal);
      await writer.publish(message('one'), 5000);
      let taken = await take().catch(() => []);
      for (let i = 0; i < 20 && taken.length === 0; i++) taken = await take().catch(() => []);
      expect(taken[0]?.payload.toString()).toBe('one');
      taken[0]?.done();
    });
  });
});

describe.each(programs)('rights on nats-server $version', (program) => {
  let servers: NatsServers;
  beforeAll(async () => {
    const denied = 'permissions: { publish: { deny: "ledger.>" } }';
    const config = `authorization { users: [{ user: u, password: p, ${denied} }] }`;
    servers = await NatsServers.start(program, 1, config);
  });
  afterAll(() => servers?.stop());

  const stream = (connection: object): LedgerStream =>
    jetStream({ servers: servers.addresses, replicas: 1, maxBytes: 100_000_000, connection });

  it('halt a ledger that may not publish, or is unknown', async () => {
    const gateway = stream({ user: 'u', pass: 'p' });
    await gateway.open(TOPIC);
    expect(
      isLedgerError(await failure(gateway.publish(message('denied'), 3000)), 'SINK_HALT'),
    ).toBe(true);
    await gateway.close();
    const stranger = stream({ user: 'u', pass: 'wrong' });
    expect(isLedgerError(await failure(stranger.open(TOPIC)), 'SINK_HALT')).toBe(true);
    await stranger.close();
  });
});

const [current, oldest] = [programs.at(0), programs.at(-1)];
if (current !== undefined && oldest !== undefined && current !== oldest) {
  it(`keeps messages when nats-server ${oldest.version} becomes ${current.version}`, async () => {
    const servers = await NatsServers.start(oldest);
    const options = { servers: servers.addresses, replicas: 1, maxBytes: 100_000_000 };
    const [gateway, writer] = [jetStream(options), jetStream(options)];
    try {
      await gateway.open(TOPIC);
      await gateway.publish(message('before'), 5000);
      await servers.signal(0, 'SIGTERM');
      await servers.restart(0, current);
      await writer.open({ ...TOPIC, reads: () => true });
      const limits = { messages: 1, bytes: 1_000_000, waitMs: 10_000 };
      const [taken] = await writer.take(limits, new AbortController().signal);
      expect(taken!.payload.toString()).toBe('before');
      taken!.done();
    } finally {
      await Promise.all([gateway.close(), writer.close()]);
      await servers.stop();
    }
  });
}

describe('jetStream', () => {
  it('names an option out of its range', () => {
    const servers = 'nats://localhost';
    expect(() => jetStream({ servers: [] })).toThrow('servers');
    expect(() => jetStream({ servers, replicas: 6 })).toThrow('replicas');
    expect(() => jetStream({ servers, maxBytes: 1 })).toThrow('maxBytes');
    expect(() => jetStream({ servers, ackWaitMs: 10 })).toThrow('ackWaitMs');
    expect(() => jetStream({ servers, stream: 'a.b' })).toThrow('stream');
  });
});
