import type { Admin } from '@platformatic/kafka';
import { pause, systemClock as clock } from '../clock/clock.js';
import { SinkHaltError } from '../errors/sink.errors.js';
import { isAnswer, isUnknownTopic } from './classify-kafka-error.js';
import type { ResolvedKafkaOptions } from './kafka-stream.options.js';

/** Kind of the resource in requests about settings. Source: Kafka's `ConfigResource.Type`. */
const TOPIC = 2;
/**
 * Bytes of a file of a partition: the first one is deleted once all of it was written. Kafka's default of 1 GiB would
 * keep that much of each partition.
 */
const SEGMENT_BYTES = 67_108_864;
/** Copies from which on one broker may be away. */
const REPLICATED = 3;

/** Time that brokers get to learn of a new topic: 5 s. */
const KNOWN_TRIES = 50;
const KNOWN_PAUSE_MS = 100;

/** A topic as far as a stream depends on it. @internal */
export interface TopicFacts {
  /** Largest record batch that it takes. */
  readonly maxMessageBytes: number;
}

/**
 * Finds the topic, or makes it. One that is there is left as it is, unless it could lose a message.
 *
 * @throws SinkHaltError if it does not fit, or is not there and is not to be made; the client's errors
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
  return checked(await onceKnown(() => settingsOf(admin, topic)), topic, options);
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
    // Another process was quicker.
    if (!isAnswer(error, 'TOPIC_ALREADY_EXISTS')) throw error;
  }
  await onceKnown(() => admin.metadata({ topics: [topic], forceUpdate: true }));
}

async function settingsOf(admin: Admin, topic: string): Promise<Map<string, string>> {
  const resources = [
    { resourceType: TOPIC, resourceName: topic, configurationKeys: null },
  ] as const;
  const [found] = await admin.describeConfigs({ resources: [...resources] });
  return new Map(found?.configs.map(({ name, value }) => [name, value ?? '']));
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
  return { maxMessageBytes: numberOf('max.message.bytes') };
}

function unfit(topic: string, setting: string, needed: string): SinkHaltError {
  const text = `the topic ${topic} has ${setting}: entries could be lost; set it to ${needed}`;
  return new SinkHaltError(text);
}

function missing(topic: string): SinkHaltError {
  return new SinkHaltError(`there is no topic ${topic}: make it, or set create: true`);
}
