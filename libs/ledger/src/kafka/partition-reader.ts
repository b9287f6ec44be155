import {
  ListOffsetTimestamps,
  type ClusterTopicMetadata,
  type Consumer,
} from '@platformatic/kafka';
import { pause, type Clock } from '../clock/clock.js';
import { SinkHaltError } from '../errors/sink.errors.js';
import { classifyKafkaError, isAnswer, isUnknownTopic } from './classify-kafka-error.js';
import { endOf, messagesOf } from './kafka-message.js';
import type { PartitionLog } from './partition-log.js';

/**
 * Milliseconds that a broker waits for a message, and maximum wait of partitions added meanwhile.
 */
const WAIT_MS = 250;
/** Bytes of one answer, and of one partition in it: one or several messages. */
const ANSWER_BYTES = 4_194_304;
const PARTITION_BYTES = 1_048_576;
/** Milliseconds before a broker is asked again after an error: a new leader takes seconds. */
const PAUSE_MS = 250;
/** A shorter failure, in milliseconds, is not reported, because another broker takes over. */
const FAILING_MS = 3000;
/** Error code of a partition without this offset. Source: Kafka's protocol, error codes. */
const OFFSET_OUT_OF_RANGE = 1;

type FetchResponse = Awaited<ReturnType<Consumer['fetch']>>;

/** Dependencies of a reader. @internal */
export interface PartitionReaderParts {
  readonly consumer: Consumer;
  readonly topic: string;
  readonly clock: Clock;
  /** Called after messages arrived, or a failure. */
  readonly changed: () => void;
  /** Called with the topic's number of partitions. */
  readonly sized: (partitions: number) => void;
  /** Called if the topic is not that of the logs any more, or a partition lost its end. */
  readonly replaced: () => void;
}

/**
 * Fetches messages for partitions, from the leader of each. One request to each broker is under way
 * at a time; its answer is kept for later callers.
 *
 * @internal
 */
export class PartitionReader {
  readonly #parts: PartitionReaderParts;
  readonly #busy = new Set<number>();
  #failure: { readonly error: unknown; readonly since: number } | undefined;
  /** A loss to be reported once, even if everything else works. */
  #loss: SinkHaltError | undefined;
  #isLooking = false;

  constructor(parts: PartitionReaderParts) {
    this.#parts = parts;
  }

  /** @throws an error that has prevented fetching for some time, or once a loss */
  check(): void {
    const loss = this.#loss;
    this.#loss = undefined;
    if (loss !== undefined) throw loss;
    const { clock } = this.#parts;
    const failure = this.#failure;
    if (failure !== undefined && clock.monotonic() - failure.since >= FAILING_MS) {
      throw classifyKafkaError(failure.error);
    }
  }

  /** Whether the topic seems to be deleted; false again once messages can be fetched. */
  get isTopicMissing(): boolean {
    return this.#failure !== undefined && isUnknownTopic(this.#failure.error);
  }

  /**
   * Requests messages from the leaders of partitions that need more, in the background, and checks
   * the topic's size, because the member that distributes may have no partition itself.
   */
  fill(logs: readonly PartitionLog[]): void {
    if (this.#isLooking) return;
    this.#isLooking = true;
    void this.#look(logs);
  }

  async #look(logs: readonly PartitionLog[]): Promise<void> {
    const { replaced, clock } = this.#parts;
    try {
      const { brokers, found } = await this.#find(logs);
      if (areOf(found, logs)) {
        this.#request(logs, found, (leader) => brokers.has(leader));
      } else {
        replaced();
        // Brokers learn of a new topic one after the other.
        await pause(clock, PAUSE_MS);
      }
    } catch (error) {
      this.#failed(error);
      await pause(clock, PAUSE_MS);
    }
    this.#isLooking = false;
  }

  /** As the client knows them; as a broker says, if that topic is not the one of the logs. */
  async #find(logs: readonly PartitionLog[]) {
    const { consumer, topic } = this.#parts;
    const ask = async (forceUpdate: boolean) => {
      const { brokers, topics } = await consumer.metadata({ topics: [topic], forceUpdate });
      return { brokers, found: topics.get(topic)! };
    };
    const known = await ask(false);
    return areOf(known.found, logs) ? known : ask(true);
  }

  #request(
    logs: readonly PartitionLog[],
    found: ClusterTopicMetadata,
    isThere: (broker: number) => boolean,
  ): void {
    this.#parts.sized(found.partitionsCount);
    const hungry = logs.filter(({ isHungry, isLost }) => isHungry && !isLost);
    const leaders = new Map<number, PartitionLog[]>();
    for (const log of hungry) {
      const leader = found.partitions[log.partition]?.leader ?? -1;
      if (!isThere(leader) || this.#busy.has(leader)) continue;
      leaders.set(leader, [...(leaders.get(leader) ?? []), log]);
    }
    for (const [leader, wanting] of leaders) void this.#fetch(leader, found, wanting);
    // A failure ends with the next fetch, or here if there is nothing to fetch.
    if (hungry.length === 0) this.#failure = undefined;
  }

  async #fetch(
    node: number,
    { id }: ClusterTopicMetadata,
    logs: readonly PartitionLog[],
  ): Promise<void> {
    const { consumer, changed } = this.#parts;
    const asked = new Map(logs.map((log) => [log.partition, log]));
    const partitions = logs.map(({ partition, position: fetchOffset }) => ({
      ...{ partition, fetchOffset, partitionMaxBytes: PARTITION_BYTES },
      ...{ currentLeaderEpoch: -1, lastFetchedEpoch: -1 },
    }));
    this.#busy.add(node);
    try {
      const limits = { maxWaitTime: WAIT_MS, minBytes: 1, maxBytes: ANSWER_BYTES };
      const topics = [{ topicId: id, partitions }];
      this.#receive(await consumer.fetch({ node, topics, ...limits }), asked);
      this.#failure = undefined;
    } catch (error) {
      const hasSkipped = await this.#skipMissing(error, asked).catch(() => false);
      if (!hasSkipped) this.#failed(error);
      await pause(this.#parts.clock, PAUSE_MS);
    }
    this.#busy.delete(node);
    changed();
  }

  #receive({ responses }: FetchResponse, asked: ReadonlyMap<number, PartitionLog>): void {
    for (const { partitionIndex, records } of responses.flatMap((each) => each.partitions)) {
      const log = asked.get(partitionIndex);
      if (log === undefined || !records) continue;
      const end = endOf(records);
      if (end !== undefined) log.receive(messagesOf(records, log.position), end);
    }
  }

  /**
   * Unread messages were deleted: continues with the first existing one, and reports it once. The
   * same if the partition lost its end, as after an unclean election.
   */
  async #skipMissing(error: unknown, asked: ReadonlyMap<number, PartitionLog>): Promise<boolean> {
    if (!isAnswer(error, 'OFFSET_OUT_OF_RANGE')) return false;
    const { consumer, topic, replaced } = this.#parts;
    const { response } = error as { response?: FetchResponse };
    const missing = (response?.responses ?? [])
      .flatMap(({ partitions }) => partitions)
      .flatMap(({ partitionIndex, errorCode }) => {
        return errorCode === OFFSET_OUT_OF_RANGE ? (asked.get(partitionIndex) ?? []) : [];
      })
      .filter(({ isLost }) => !isLost);
    const request = { topics: [topic], timestamp: ListOffsetTimestamps.EARLIEST };
    const earliest = (await consumer.listOffsets(request)).get(topic)!;
    for (const log of missing) {
      const { partition, position } = log;
      const next = earliest[partition]!;
      if (next < position) replaced();
      else log.skipTo(next);
      this.#loss = new SinkHaltError(
        `partition ${partition} of ${topic} has no message ${position} any more: it goes on with ` +
          `${next}, and what was between is lost unless it was written before`,
      );
    }
    return missing.length > 0;
  }

  #failed(error: unknown): void {
    const { clock, consumer } = this.#parts;
    // Otherwise the client would use an unreachable leader for seconds.
    consumer.clearMetadata();
    this.#failure = { error, since: this.#failure?.since ?? clock.monotonic() };
  }
}

/** Whether these logs are of this topic, and not of a deleted one with its name. */
function areOf({ id }: ClusterTopicMetadata, logs: readonly PartitionLog[]): boolean {
  return logs.every(({ topicId, isLost }) => isLost || topicId === id);
}
