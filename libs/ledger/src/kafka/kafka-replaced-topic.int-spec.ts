import { Admin } from '@platformatic/kafka';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { isLedgerError } from '../errors/is-ledger-error.js';
import type { LedgerStream } from '../ports/ledger-stream.interface.js';
import { COMES_MS, contentOf, message, StreamTrial } from '../sink-kit/stream-trial.js';
import { kafkaStream } from './create-kafka-stream.js';
import { KafkaBrokers, whyNoKafka } from './fixtures/kafka-brokers.fixture.js';

const lacking = whyNoKafka();
const START_LIMIT_MS = 120_000;
const TEST_MS = 60_000;
const SOON = { timeout: COMES_MS, interval: 100 };

// Without Kafka one test reports what is missing.
if (lacking !== undefined) it.skip(`a topic of Kafka that is made again: ${lacking}`);

describe.runIf(lacking === undefined)('a topic of Kafka that is deleted and made again', () => {
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

  /** Gives a test a topic of one partition, with what connects to it. */
  async function withTopic(
    test: (trial: StreamTrial, topic: string) => Promise<void>,
  ): Promise<void> {
    const topic = `again-${number++}`;
    const connect = (): LedgerStream =>
      kafkaStream({
        ...{ brokers: brokers.addresses, topic, replicas: 1, partitions: 1 },
        sessionTimeoutMs: 6000,
      });
    const block = async (): Promise<() => Promise<void>> => {
      await brokers.signal(0, 'SIGSTOP');
      return () => brokers.signal(0, 'SIGCONT');
    };
    const dispose = (): Promise<void> => Promise.resolve();
    const trial = new StreamTrial({ connect, block, dispose });
    try {
      await test(trial, topic);
    } finally {
      await trial.end();
    }
  }

  /** Publishes a message. @returns what a gateway says if it halts, or what else happened */
  async function publish(gateway: LedgerStream, content: string): Promise<string> {
    try {
      await gateway.publish(message(content), 5000);
      return 'published';
    } catch (error) {
      return isLedgerError(error, 'SINK_HALT') ? error.message : 'not published';
    }
  }

  async function remove(topic: string, gateway: LedgerStream): Promise<void> {
    await admin.deleteTopics({ topics: [topic] });
    const there = `there is no topic ${topic}`;
    await expect.poll(() => publish(gateway, 'lost'), SOON).toContain(there);
  }

  const waiting = async (stream: LedgerStream): Promise<number> =>
    (await stream.backlog(5000)).messages;

  it.each([
    { what: 'fewer messages than the old one', count: 2 },
    { what: 'more messages than the old one', count: 5 },
  ])(
    'gives its writer each message once, with $what',
    async ({ count }) => {
      await withTopic(async (trial, topic) => {
        const [gateway, writer] = [await trial.gateway(), await trial.writer()];
        await trial.publish(gateway, 'old 1', 'old 2', 'old 3');
        const [first, second, late] = await trial.take(writer, 3);
        first!.done();
        second!.done();
        await expect.poll(() => waiting(writer), SOON).toBe(1);
        await remove(topic, gateway);
        await trial.gateway();
        const contents = Array.from({ length: count }, (_, i) => `new ${i}`);
        await trial.publish(gateway, ...contents);
        const taken = await trial.take(writer, count);
        expect(taken.map(contentOf)).toEqual(contents);
        // The third message of the old topic, and not that of the new one.
        late!.done();
        await trial.expectNone(writer);
        expect(await waiting(writer)).toBe(count);
        for (const each of taken) each.done();
        await expect.poll(() => waiting(writer), SOON).toBe(0);
      });
    },
    TEST_MS,
  );

  it(
    'halts gateways if its new settings could lose messages',
    async () => {
      await withTopic(async (trial, topic) => {
        const gateway = await trial.gateway();
        await trial.publish(gateway, 'old');
        await remove(topic, gateway);
        const configs = [{ name: 'retention.ms', value: '3600000' }];
        await admin.createTopics({ topics: [topic], partitions: 1, replicas: 1, configs });
        const refused = () => publish(gateway, 'refused');
        await expect.poll(refused, SOON).toContain('retention.ms=3600000');
        const settings = [{ name: 'retention.ms', value: '-1' }];
        const resource = { resourceType: 2 as const, resourceName: topic, configs: settings };
        await admin.alterConfigs({ resources: [resource] });
        await expect.poll(() => publish(gateway, 'new'), SOON).toBe('published');
        expect(await trial.contents(await trial.writer(), 1)).toEqual(['new']);
      });
    },
    TEST_MS,
  );

  it(
    'lets writers with and without a partition go on',
    async () => {
      await withTopic(async (trial, topic) => {
        const gateway = await trial.gateway();
        const writers = [await trial.writer(), await trial.writer()];
        const take = async (writer: LedgerStream): Promise<string> => {
          const limits = { messages: 1, bytes: 1000, waitMs: 500 };
          try {
            for (const each of await writer.take(limits, trial.signal)) each.done();
            return 'goes on';
          } catch (error) {
            return isLedgerError(error, 'SINK_HALT') ? error.message : 'fails';
          }
        };
        await remove(topic, gateway);
        for (const writer of writers) {
          await expect.poll(() => take(writer), SOON).toContain(`there is no topic ${topic}`);
        }
        await trial.gateway();
        for (const writer of writers) {
          await expect.poll(() => take(writer), SOON).toBe('goes on');
        }
        await trial.publish(gateway, 'new');
        const polled = async (): Promise<number> => {
          await Promise.all(writers.map(take));
          return waiting(gateway);
        };
        await expect.poll(polled, SOON).toBe(0);
      });
    },
    TEST_MS,
  );
});
