import type { Admin } from '@platformatic/kafka';
import { pause, systemClock as clock } from '../clock/clock.js';
import { SinkHaltError } from '../errors/sink.errors.js';
import { isAnswer, isUnknownTopic } from './classify-kafka-error.js';
import type { ResolvedKafkaOptions } from './kafka-stream.options.js';
import { readTopicSettings } from './topic-settings.js';

/**
 * Bytes of a partition's segment file; the oldest is deleted once all of it was written to the
 * table. Kafka's default of 1 GiB would keep that much of each partition.
 */
const SEGMENT_BYTES = 67_108_864;
/** Smallest limit of a message: 8 KiB for names and columns, and as much for rows. */
const LEAST_MESSAGE_BYTES = 16_384;
/** Minimum copies that allow one broker to be down. */
const REPLICATED = 3;

/** Time for brokers to learn of a new topic: 5 s. */
const KNOWN_TRIES = 50;
const KNOWN_PAUSE_MS = 100;

/** The properties of a topic on which a stream depends. @internal */
export interface TopicFacts {
  /** Maximum size of a record batch. */
  readonly maxMessageBytes: number;
}

/**
 * Finds the topic, or makes it. An existing one is not changed, but it must not lose messages.
 *
 * @throws SinkHaltError if it does not fit, or is missing and may not be made; the client's errors
 * @internal
 */
export async function ensureTopic(
  admin: Admin,
  topic: string,
  options: ResolvedKafkaOptions,
): Promise<TopicFacts> {
  if (!(await isThere(admin, topic))) {
    if (!options.create) throw missing(topic);
    await create(admin, topic, options);
  }
  return checked(await onceKnown(() => readTopicSettings(admin, topic)), topic, options);
}

/**
 * Checks a topic again, because a person may have changed it, or deleted it and made it again.
 *
 * @throws SinkHaltError if it does not fit, or is still missing; the client's errors
 * @internal
 */
export async function checkTopic(
  admin: Admin,
  topic: string,
  options: ResolvedKafkaOptions,
): Promise<TopicFacts> {
  await admin.metadata({ topics: [topic], forceUpdate: true });
  return checked(await readTopicSettings(admin, topic), topic, options);
}

/** Brokers learn of a new topic one after the other. */
async function onceKnown<T>(ask: () => Promise<T>): Promise<T> {
  for (let tries = 1; ; tries++) {
    try {
      return await ask();
    } catch (error) {
      if (!isUnknownTopic(error) || tries === KNOWN_TRIES) throw error;
      await pause(clock, KNOWN_PAUSE_MS);
    }
  }
}

async function isThere(admin: Admin, topic: string): Promise<boolean> {
  try {
    await admin.metadata({ topics: [topic], forceUpdate: true });
    return true;
  } catch (error) {
    if (isUnknownTopic(error)) return false;
    throw error;
  }
}

async function create(
  admin: Admin,
  topic: string,
  { partitions, replicas }: ResolvedKafkaOptions,
): Promise<void> {
  const settings: Record<string, number | string | boolean> = {
    'cleanup.policy': 'delete',
    'retention.ms': -1,
    'retention.bytes': -1,
    'segment.bytes': SEGMENT_BYTES,
    'unclean.leader.election.enable': false,
    'min.insync.replicas': replicas >= REPLICATED ? 2 : 1,
  };
  const configs = Object.entries(settings).map(([name, value]) => ({ name, value: `${value}` }));
  try {
    await admin.createTopics({ topics: [topic], partitions, replicas, configs });
  } catch (error) {
    if (isAnswer(error, 'INVALID_REPLICATION_FACTOR')) {
      const text = `the cluster has fewer than ${replicas} brokers that run: start them, or set replicas`;
      throw new SinkHaltError(text, { cause: error });
    }
    // Another process was faster.
    if (!isAnswer(error, 'TOPIC_ALREADY_EXISTS')) throw error;
  }
  await onceKnown(() => admin.metadata({ topics: [topic], forceUpdate: true }));
}

function checked(
  settings: ReadonlyMap<string, string>,
  topic: string,
  { minRetentionMs, replicas }: ResolvedKafkaOptions,
): TopicFacts {
  const numberOf = (name: string): number => Number(settings.get(name));
  const isEndless = (name: string): boolean => numberOf(name) === -1;
  const check = (isGood: boolean, name: string, needed: string): void => {
    if (!isGood) throw unfit(topic, `${name}=${settings.get(name)}`, needed);
  };
  check(settings.get('cleanup.policy') === 'delete', 'cleanup.policy', 'delete');
  const isKept = isEndless('retention.ms') || numberOf('retention.ms') >= minRetentionMs;
  check(isKept, 'retention.ms', `-1, or at least ${minRetentionMs} (minRetentionMs)`);
  check(isEndless('retention.bytes'), 'retention.bytes', '-1');
  const isClean = settings.get('unclean.leader.election.enable') !== 'true';
  check(isClean, 'unclean.leader.election.enable', 'false');
  const isSafe = replicas < REPLICATED || numberOf('min.insync.replicas') >= 2;
  check(isSafe, 'min.insync.replicas', '2');
  const maxMessageBytes = numberOf('max.message.bytes');
  // Otherwise each row would be too large for a message, and become a dead letter.
  const isLarge = maxMessageBytes >= LEAST_MESSAGE_BYTES;
  check(isLarge, 'max.message.bytes', `at least ${LEAST_MESSAGE_BYTES}`);
  return { maxMessageBytes };
}

function unfit(topic: string, setting: string, needed: string): SinkHaltError {
  const text = `the topic ${topic} has ${setting}: entries could be lost; set it to ${needed}`;
  return new SinkHaltError(text);
}

function missing(topic: string): SinkHaltError {
  return new SinkHaltError(`there is no topic ${topic}: make it, or set create: true`);
}
