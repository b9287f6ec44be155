import { setTimeout as delay } from 'node:timers/promises';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import {
  Admin,
  ConfigResourceTypes,
  IncrementalAlterConfigOperationTypes,
  Producer,
} from '@platformatic/kafka';
import { isLedgerError } from '../errors/is-ledger-error.js';
import type { LedgerStream, StreamMessage } from '../ports/ledger-stream.interface.js';
import { describeStreamConformance } from '../sink-kit/stream-conformance.js';
import { contentOf, KNOWN, message, UNKNOWN } from '../sink-kit/stream-trial.js';
import { kafkaStream } from './create-kafka-stream.js';
import { KafkaBrokers, whyNoKafka } from './fixtures/kafka-brokers.fixture.js';

const lacking = whyNoKafka();
const TOPIC = { ledger: 'conformance', fingerprint: KNOWN };
/** Two additional partitions. */
const ON_ONE = [{ brokerIds: [1] }, { brokerIds: [1] }];
const START_LIMIT_MS = 120_000;
const failure = (work: Promise<unknown>): Promise<unknown> =>
  work.then(
    () => undefined,
    (error: unknown) => error,
  );

// Without Kafka one test reports what is missing.
if (lacking !== undefined) it.skip(`Kafka: ${lacking}`);

describe.runIf(lacking === undefined)('Kafka', () => {
  let brokers: KafkaBrokers;
  let admin: Admin;
  let number = 0;

  beforeAll(async () => {
    brokers = await KafkaBrokers.start();
    admin = new Admin({ clientId: 'test', bootstrapBrokers: brokers.addresses });
  }, START_LIMIT_MS);

  afterAll(async () => {
    await admin?.close();
    await brokers?.stop();
  });

  const stream = (more: object): LedgerStream =>
    kafkaStream({
      brokers: brokers.addresses,
      ...{ replicas: 1, partitions: 4, sessionTimeoutMs: 6000, ...more },
    });

  describeStreamConformance(
    'Kafka',
    async () => {
      const topic = `conformance-${number++}`;
      return {
        connect: () => stream({ topic }),
        block: async () => {
          await brokers.signal(0, 'SIGSTOP');
          return () => brokers.signal(0, 'SIGCONT');
        },
        dispose: () => admin.deleteTopics({ topics: [topic] }),
      };
    },
    { runner: { describe, it } },
  );

  /** Opens a new stream, and ends it with the test. */
  async function withStream(
    more: object,
    test: (gateway: LedgerStream, topic: string) => Promise<void>,
  ): Promise<void> {
    const topic = `test-${number++}`;
    const gateway = stream({ topic, ...more });
    try {
      await test(gateway, topic);
    } finally {
      await gateway.close();
    }
  }

  async function settingsOf(topic: string): Promise<object> {
    const resources = [{ resourceType: 2 as const, resourceName: topic }];
    const [found] = await admin.describeConfigs({ resources });
    return Object.fromEntries(found!.configs.map(({ name, value }) => [name, value]));
  }

  it('makes a topic that keeps messages until they are written', async () => {
    await withStream({}, async (gateway, topic) => {
      await gateway.open(TOPIC);
      expect(await settingsOf(topic)).toMatchObject({
        'cleanup.policy': 'delete',
        'retention.ms': '-1',
        'retention.bytes': '-1',
        'unclean.leader.election.enable': 'false',
      });
      const { topics } = await admin.metadata({ topics: [topic] });
      expect(topics.get(topic)!.partitionsCount).toBe(4);
    });
  });

  it.each([
    ['cleanup.policy', 'compact', 'set it to delete'],
    ['retention.ms', '3600000', 'set it to -1, or at least 604800000 (minRetentionMs)'],
    ['retention.bytes', '1048576', 'set it to -1'],
    ['unclean.leader.election.enable', 'true', 'set it to false'],
    ['max.message.bytes', '1000', 'set it to at least 16384'],
  ])('halts on a topic with %s=%s, and says what it needs', async (name, value, needed) => {
    await withStream({}, async (gateway, topic) => {
      const settings = { 'retention.ms': '-1', [name]: value };
      const configs = Object.entries(settings).map(([each, to]) => ({ name: each, value: to }));
      await admin.createTopics({ topics: [topic], partitions: 1, replicas: 1, configs });
      const error = await failure(gateway.open(TOPIC));
      expect(isLedgerError(error, 'SINK_HALT')).toBe(true);
      expect((error as Error).message).toContain(`${name}=${value}`);
      expect((error as Error).message).toContain(needed);
    });
  });

  async function set(topic: string, name: string, value: string): Promise<void> {
    const configOperation = IncrementalAlterConfigOperationTypes.SET;
    const resource = { resourceType: ConfigResourceTypes.TOPIC, resourceName: topic };
    const resources = [{ ...resource, configs: [{ name, value, configOperation }] }];
    await admin.incrementalAlterConfigs({ resources });
  }

  it('halts while a person lets the topic lose messages', async () => {
    await withStream({}, async (gateway, topic) => {
      await gateway.open(TOPIC);
      await set(topic, 'retention.ms', '3600000');
      const halt = {
        code: 'SINK_HALT',
        message: expect.stringContaining('set it to -1') as string,
      };
      await expect
        .poll(() => failure(gateway.backlog(5000)), { timeout: 10_000 })
        .toMatchObject(halt);
      expect(await failure(gateway.publish(message('lost'), 5000))).toMatchObject(halt);
      await set(topic, 'retention.ms', '-1');
      await publish(gateway, 'kept');
      expect(await gateway.backlog(5000)).toMatchObject({ messages: 1 });
    });
  });

  it('publishes smaller messages once the topic takes no larger ones', async () => {
    await withStream({}, async (gateway, topic) => {
      await gateway.open(TOPIC);
      const before = gateway.maxPayloadBytes;
      await set(topic, 'max.message.bytes', '32768');
      const large = message('x'.repeat(50_000));
      const refusal = async (): Promise<unknown> => failure(gateway.publish(large, 5000));
      await expect.poll(refusal, { timeout: 10_000 }).toMatchObject({ code: 'SINK_ROW' });
      expect([before, gateway.maxPayloadBytes]).toEqual([1_048_588 - 8192, 32_768 - 8192]);
      await publish(gateway, 'x'.repeat(gateway.maxPayloadBytes));
    });
  });

  it('halts if more copies are requested than brokers exist, or no topic may be made', async () => {
    for (const [more, text] of [
      [{ replicas: 3 }, 'fewer than 3 brokers'],
      [{ create: false }, 'set create: true'],
    ] as const) {
      await withStream(more, async (gateway) => {
        const error = await failure(gateway.open(TOPIC));
        expect(isLedgerError(error, 'SINK_HALT')).toBe(true);
        expect((error as Error).message).toContain(text);
      });
    }
  });

  it('is unreachable, and not halted, without a listening broker', async () => {
    await withStream({ brokers: '127.0.0.1:9' }, async (gateway) => {
      const error = await failure(gateway.open(TOPIC));
      expect(isLedgerError(error, 'SINK_TRANSIENT') && error.outcomeKnown).toBe(true);
    });
  });

  it('halts if the topic was deleted, and continues after it was made again', async () => {
    await withStream({}, async (gateway, topic) => {
      await gateway.open(TOPIC);
      await admin.deleteTopics({ topics: [topic] });
      let error = await failure(gateway.publish(message('gone'), 5000));
      for (let i = 0; i < 20 && !isLedgerError(error, 'SINK_HALT'); i++)
        error = await failure(gateway.publish(message('gone'), 5000));
      expect(isLedgerError(error, 'SINK_HALT')).toBe(true);
      expect((error as Error).message).toContain(`there is no topic ${topic}`);
      await withStream({ topic }, (other) => other.open(TOPIC));
      await publish(gateway, 'back');
    });
  });

  it('refuses to be opened again after it was closed, and says what to do', async () => {
    await withStream({}, async (gateway) => {
      await gateway.open(TOPIC);
      await gateway.close();
      const error = await failure(gateway.open(TOPIC));
      expect(isLedgerError(error, 'SINK_HALT')).toBe(true);
      expect((error as Error).message).toContain('make a new one');
    });
  });

  it('deletes written messages', async () => {
    await withStream({ partitions: 1 }, async (writer, topic) => {
      await writer.open({ ...TOPIC, reads: () => true });
      for (const content of ['one', 'two']) await writer.publish(message(content), 5000);
      for (const each of await takeAll(writer, 2)) each.done();
      await writer.backlog(5000);
      const first = async (): Promise<bigint> => {
        const partitions = [{ partitionIndex: 0, timestamp: -2n }];
        const [found] = await admin.listOffsets({ topics: [{ name: topic, partitions }] });
        return found!.partitions[0]!.offset;
      };
      await expect.poll(first, { timeout: 10_000 }).toBe(2n);
    });
  });

  it('continues after messages that were deleted unread, and reports it once', async () => {
    await withStream({ partitions: 1 }, async (gateway, topic) => {
      await gateway.open(TOPIC);
      await gateway.publish(message('one'), 5000);
      const writer = stream({ topic });
      await writer.open({ ...TOPIC, reads: () => true });
      await admin.deleteRecords({
        topics: [{ name: topic, partitions: [{ partition: 0, offset: 1n }] }],
      });
      await gateway.publish(message('two'), 5000);
      const errors: unknown[] = [];
      const signal = new AbortController().signal;
      const limits = { messages: 1, bytes: 1000, waitMs: 10_000 };
      let taken: string[] = [];
      while (taken.length === 0) {
        const messages = await writer.take(limits, signal).catch((error: unknown) => {
          errors.push(error);
          return [];
        });
        taken = messages.map(contentOf);
      }
      expect(taken).toEqual(['two']);
      expect(errors.map((error) => isLedgerError(error, 'SINK_HALT'))).toEqual([true]);
      expect((errors[0] as Error).message).toContain(
        'has no message 0 any more: it goes on with 1',
      );
      await writer.close();
    });
  });

  it('lists more than an answer holds, and skips messages deleted meanwhile', async () => {
    await withStream({ partitions: 1 }, async (gateway, topic) => {
      await gateway.open(TOPIC);
      const contents = ['a', 'b', 'c', 'd', 'e'].map((each) => each.repeat(700_000));
      for (const content of contents) await publish(gateway, content);
      const listed: string[] = [];
      for await (const { payload } of gateway.browse!()) {
        listed.push(payload.toString('utf8', 0, 1));
        if (listed.length > 1) continue;
        const partitions = [{ partition: 0, offset: 4n }];
        await admin.deleteRecords({ topics: [{ name: topic, partitions }] });
        // Messages published after the request are not in the answer.
        await publish(gateway, 'later');
      }
      expect([listed[0], listed.at(-1)]).toEqual(['a', 'e']);
      expect(listed.length).toBeLessThan(contents.length);
    });
  });

  it('stops only the partition of an unreadable message', async () => {
    await withStream({ partitions: 2 }, async (writer, topic) => {
      const reads = (headers: object): boolean => Object.values(headers).includes(KNOWN);
      await writer.open({ ...TOPIC, reads });
      const producer = new Producer({ clientId: 'test', bootstrapBrokers: brokers.addresses });
      const send = (partition: number, fingerprint: string, text: string): Promise<unknown> => {
        const { headers } = message('', fingerprint);
        const named = Object.entries(headers).map(([name, value]) => [
          Buffer.from(name),
          Buffer.from(value),
        ]);
        const record = { key: Buffer.from(fingerprint), value: Buffer.from(text) };
        const all = { topic, partition, ...record, headers: new Map(named as [Buffer, Buffer][]) };
        return producer.send({ acks: -1, messages: [all] });
      };
      await send(0, UNKNOWN, 'newer');
      await send(0, KNOWN, 'behind it');
      await send(1, KNOWN, 'beside it');
      await producer.close();
      const [taken, ...others] = await takeAll(writer, 1);
      expect(contentOf(taken!)).toBe('beside it');
      expect(others).toEqual([]);
      taken!.done();
      const { messages, unread } = await writer.backlog(5000);
      expect({ messages, unread }).toEqual({
        messages: 2,
        unread: [{ fingerprint: UNKNOWN, messages: 2 }],
      });
    });
  });

  // Two writers, because the distributing one may have no partition itself.
  it('reads the partitions that a topic gets later', { timeout: 180_000 }, async () => {
    await withStream({ partitions: 1 }, async (first, topic) => {
      await withStream({ topic }, async (second) => {
        for (const writer of [first, second]) await writer.open({ ...TOPIC, reads: () => true });
        await admin.createPartitions({ topics: [{ name: topic, count: 3, assignments: ON_ONE }] });
        const contents = ['a', 'b', 'c', 'd', 'e', 'f'];
        for (const content of contents) await publish(first, content);
        const limits = { messages: contents.length, bytes: 1_048_576, waitMs: 100 };
        const signal = new AbortController().signal;
        const taken: StreamMessage[] = [];
        while (taken.length < contents.length) {
          for (const writer of [first, second]) taken.push(...(await writer.take(limits, signal)));
        }
        expect(taken.map(contentOf).sort()).toEqual(contents);
        for (const each of taken) each.done();
      });
    });
  });

  /** A new partition has no leader at first. */
  async function publish(gateway: LedgerStream, content: string): Promise<void> {
    const again = message(content);
    while ((await failure(gateway.publish(again, 5000))) !== undefined) await delay(50);
  }

  /** This many messages, which must arrive. */
  async function takeAll(writer: LedgerStream, count: number): Promise<StreamMessage[]> {
    const signal = new AbortController().signal;
    const taken: StreamMessage[] = [];
    while (taken.length < count) {
      const limits = { messages: count - taken.length, bytes: 1_048_576, waitMs: 20_000 };
      taken.push(...(await writer.take(limits, signal)));
    }
    return taken;
  }
});
