import {
  ListOffsetTimestamps,
  type ClusterTopicMetadata,
  type Consumer,
} from '@platformatic/kafka';
import { pause, type Clock } from '../clock/clock.js';
import { SinkHaltError } from '../errors/sink.errors.js';
import { classifyKafkaError, isAnswer } from './classify-kafka-error.js';
import { endOf, messagesOf } from './kafka-message.js';
import type { PartitionLog } from './partition-log.js';

/** Milliseconds that a broker waits for a message; what partitions came meanwhile waits as long. */
const WAIT_MS = 250;
/** Bytes of one answer, and of one partition in it: a message or some. */
const ANSWER_BYTES = 4_194_304;
const PARTITION_BYTES = 1_048_576;
/** Pause of a broker whose answer was an error: a new leader takes seconds. */
const PAUSE_MS = 250;
/** A failure that ends before is not worth a word: another broker takes over. */
const FAILING_MS = 3000;
/** Error code of a partition that has no such offset. Source: Kafka's protocol, error codes. */
const OFFSET_OUT_OF_RANGE = 1;

type FetchResponse = Awaited<ReturnType<Consumer['fetch']>>;

/** What a reader is made of. @internal */
export interface PartitionReaderParts {
  readonly consumer: Consumer;
  readonly topic: string;
  readonly clock: Clock;
  /** Messages came, or a failure. */
  readonly changed: () => void;
  /** The topic has so many partitions. */
  readonly sized: (partitions: number) => void;
}

/**
 * Fetches messages for partitions, from the leader of each. One request to each broker is on the way at a
 * time; its answer is kept whoever waits for it.
 *
 * @internal
 */
export class PartitionReader {
  readonly #parts: PartitionReaderParts;
  readonly #busy = new Set<number>();
  #failure: { readonly error: unknown; readonly since: number } | undefined;
  /** What has to be said once, whatever else works. */
  #loss: SinkHaltError | undefined;
  #isLooking = false;

  constructor(parts: PartitionReaderParts) {
    this.#parts = parts;
  }

  /** @throws what keeps it from fetching for some time, or once what was lost */
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

  /**
   * Asks the leaders of partitions that want more, in the background, and looks at the topic's size: the member
   * that distributes may have no partition itself.
   */
  fill(logs: readonly PartitionLog[]): void {
    if (this.#isLooking) return;
    this.#isLooking = true;
    void this.#look(logs);
  }

  async #look(logs: readonly PartitionLog[]): Promise<void> {
    const { consumer, topic, sized } = this.#parts;
    try {
      const metadata = await consumer.metadata({ topics: [topic] });
      const found = metadata.topics.get(topic)!;
      sized(found.partitionsCount);
      const leaders = new Map<number, PartitionLog[]>();
      for (const log of logs) {
        const leader = found.partitions[log.partition]?.leader ?? -1;
        if (!log.isHungry || !metadata.brokers.has(leader) || this.#busy.has(leader)) continue;
        leaders.set(leader, [...(leaders.get(leader) ?? []), log]);
      }
      for (const [leader, wanting] of leaders) void this.#fetch(leader, found, wanting);
    } catch (error) {
      this.#failed(error);
      await pause(this.#parts.clock, PAUSE_MS);
    }
    this.#isLooking = false;
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

  /** Messages that were not read are not there any more: goes on with the first that is, and says so once. */
  async #skipMissing(error: unknown, asked: ReadonlyMap<number, PartitionLog>): Promise<boolean> {
    if (!isAnswer(error, 'OFFSET_OUT_OF_RANGE')) return false;
    const { consumer, topic } = this.#parts;
    const { response } = error as { response?: FetchResponse };
    const missing = (response?.responses ?? [])
      .flatMap(({ partitions }) => partitions)
      .flatMap(({ partitionIndex, errorCode }) => {
        return errorCode === OFFSET_OUT_OF_RANGE ? (asked.get(partitionIndex) ?? []) : [];
      });
    const request = { topics: [topic], timestamp: ListOffsetTimestamps.EARLIEST };
    const earliest = (await consumer.listOffsets(request)).get(topic)!;
    for (const log of missing) {
      const { partition, position } = log;
      log.skipTo(earliest[partition]!);
      this.#loss = new SinkHaltError(
        `partition ${partition} of ${topic} has no message ${position} any more: it goes on with ` +
          `${log.position}, and what was between is lost unless it was written before`,
      );
    }
    return missing.length > 0;
  }

  #failed(error: unknown): void {
    const { clock, consumer } = this.#parts;
    // The client keeps a leader that is away for seconds.
    consumer.clearMetadata();
    this.#failure = { error, since: this.#failure?.since ?? clock.monotonic() };
  }
}
