import { afterAll, beforeAll, describe, expect, it, onTestFinished } from 'vitest';
import {
  AckPolicy,
  DiscardPolicy,
  jetstreamManager,
  RetentionPolicy,
  StorageType,
  type ConsumerConfig,
  type JetStreamManager,
  type StreamConfig,
} from '@nats-io/jetstream';
import { connect, type NatsConnection } from '@nats-io/transport-node';
import type { LedgerStream } from '../ports/ledger-stream.interface.js';
import { KNOWN } from '../sink-kit/stream-trial.js';
import { jetStream } from './create-jet-stream.js';
import {
  findNatsPrograms,
  findReliableNats,
  NatsServers,
} from './fixtures/nats-servers.fixture.js';

const programs = findNatsPrograms();
const TOPIC = { ledger: 'conformance', fingerprint: KNOWN };
const DAY = 86_400 * 1e9;

/** Settings of a stream that differ from a fit one. */
const STREAMS: readonly (readonly [Partial<StreamConfig>, string])[] = [
  [{ retention: RetentionPolicy.Limits }, 'it needs workqueue'],
  [{ subjects: ['other.*'] }, 'it needs the subject ledger.conformance.*'],
  [{ discard: DiscardPolicy.Old }, 'it needs discard: new'],
  [{ storage: StorageType.Memory }, 'it needs storage: file'],
  [{ max_age: DAY }, 'deletes messages after 86400 s: entries would be lost; it needs max_age: 0'],
  [{ max_msgs_per_subject: 1000 }, 'it needs max_msgs_per_subject: -1'],
  [{ no_ack: true }, 'it needs no_ack: false'],
  [{ max_msg_size: 10_000 }, 'it needs max_msg_size: 16384 or more'],
];
/** The same of version 2.10. */
const NEWER_STREAMS: typeof STREAMS = [
  [{ subject_transform: { src: 'ledger.>', dest: 'kept.>' } }, 'it needs no subject_transform'],
  [{ consumer_limits: { inactive_threshold: DAY } }, 'it needs no inactive_threshold'],
];
/** Servers of version 2.9 change an existing consumer to the ledger's settings. */
const CONSUMERS: readonly (readonly [Partial<ConsumerConfig>, string])[] = [
  [{ max_deliver: 5 }, 'delivers a message 5 times at most'],
  [{ inactive_threshold: DAY }, 'it needs no inactive_threshold'],
  [{ headers_only: true }, 'it needs headers_only: false'],
  [{ deliver_subject: 'pushed' }, 'it needs no deliver_subject'],
];

// Without a program one test reports which is missing.
if (programs.length === 0) it.skip('nats-server is not installed');

describe.each(programs)('settings of another hand, nats-server $version', (program) => {
  const isNewer = findReliableNats().some(({ path }) => path === program.path);
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

  async function made(config: Partial<StreamConfig>): Promise<string> {
    const name = `settings-${number++}`;
    await manager.streams.add({
      ...{ name, subjects: ['ledger.conformance.*'], storage: StorageType.File },
      ...{ retention: RetentionPolicy.Workqueue, discard: DiscardPolicy.New, ...config },
    });
    onTestFinished(async () => void (await manager.streams.delete(name)));
    return name;
  }

  function connectTo(stream: string): LedgerStream {
    const opened = jetStream({ servers: servers.addresses, stream, replicas: 1 });
    onTestFinished(() => opened.close());
    return opened;
  }

  it.each([...STREAMS, ...(isNewer ? NEWER_STREAMS : [])])(
    'halt a gateway if the stream has %j',
    async (config, needed) => {
      const gateway = connectTo(await made(config));
      await expect(gateway.open(TOPIC)).rejects.toMatchObject({
        code: 'SINK_HALT',
        message: expect.stringContaining(needed) as string,
      });
    },
  );

  it.each(isNewer ? CONSUMERS : [])(
    'halt a writer if its consumer has %j',
    async (config, needed) => {
      const stream = await made({});
      await manager.consumers.add(stream, {
        ...{ durable_name: KNOWN, ack_policy: AckPolicy.Explicit },
        ...{ filter_subject: `ledger.conformance.${KNOWN}`, ...config },
      });
      const writer = connectTo(stream);
      await expect(writer.open({ ...TOPIC, reads: () => true })).rejects.toMatchObject({
        code: 'SINK_HALT',
        message: expect.stringContaining(needed) as string,
      });
    },
  );

  it.each(isNewer ? [1] : [])('let a writer wait behind max_waiting of %d', async (max_waiting) => {
    const stream = await made({});
    await manager.consumers.add(stream, {
      ...{ durable_name: KNOWN, ack_policy: AckPolicy.Explicit, max_waiting },
      filter_subject: `ledger.conformance.${KNOWN}`,
    });
    const writers = [connectTo(stream), connectTo(stream)];
    for (const each of writers) await each.open({ ...TOPIC, reads: () => true });
    let requests = 0;
    const callback = (): void => void requests++;
    nc.subscribe(`$JS.API.CONSUMER.MSG.NEXT.${stream}.${KNOWN}`, { callback });
    const { signal } = new AbortController();
    const limits = { messages: 10, bytes: 100_000, waitMs: 2000 };
    await Promise.all(writers.map((each) => each.take(limits, signal)));
    expect(requests).toBeGreaterThan(6);
    expect(requests).toBeLessThan(100);
  });

  it('do not halt if they lose nothing', async () => {
    const refusing = { max_msgs_per_subject: 1000, discard_new_per_subject: true };
    const stream = await made({ max_msgs: 5000, allow_direct: true, ...refusing });
    await connectTo(stream).open(TOPIC);
    await connectTo(stream).open({ ...TOPIC, reads: () => true });
  });
});
