import {
  ListOffsetTimestamps,
  roundRobinAssigner,
  type Consumer,
  type GroupPartitionsAssigner,
} from '@platformatic/kafka';
import { pause, type Clock, type Timer } from '../clock/clock.js';
import type { KafkaClients } from './kafka-clients.js';
import type { PartitionLog } from './partition-log.js';

/**
 * Milliseconds between two commits: messages finished since then are delivered again after a crash.
 */
const COMMIT_MS = 200;
/** Pause after a failure. */
const AGAIN_MS = 250;
/** Time for a failed consumer to leave. */
const LEAVE_MS = 1000;

/** Where to begin with a partition. @internal */
export interface PartitionStart {
  /** Identity of the topic at this moment. */
  readonly topicId: string;
  readonly partition: number;
  readonly from: bigint;
}

/** Dependencies of a group member. @internal */
export interface GroupMemberParts {
  readonly clients: KafkaClients;
  readonly topic: string;
  readonly group: string;
  /** Columns of the messages that it reads, published to the group; empty: none. */
  readonly columns: string;
  readonly clock: Clock;
  readonly makeLog: (start: PartitionStart) => PartitionLog;
  /**
   * Whether the topic seems to be deleted. Nothing is committed then: brokers would take the
   * progress for that of a new topic with the same name.
   */
  readonly isTopicMissing: () => boolean;
  /** Called when partitions were added or removed, or a join failed. */
  readonly changed: () => void;
  /** Called after the progress of partitions was committed. */
  readonly committed: (logs: readonly PartitionLog[]) => void;
}

/**
 * This process in the consumer group of a ledger's writers: its partitions, and their progress. It
 * rejoins by itself, with a new client after a failure. During a distribution of partitions it has
 * none to take from; kept partitions then continue at their position.
 *
 * @internal
 */
export class GroupMember {
  /** The reason why it is not in the group; undefined if it is, or tries for the first time. */
  failure: unknown;
  readonly #parts: GroupMemberParts;
  #consumer: Consumer | undefined;
  #logs = new Map<number, PartitionLog>();
  #isJoined = false;
  #isClosed = false;
  /** Counts distributions, so that a late answer to an earlier one has no effect. */
  #round = 0;
  #commitTimer: Timer | undefined;
  #committing: Promise<void> | undefined;
  /**
   * Partitions in the last distribution by this process; undefined if another member distributed.
   */
  #distributed: number | undefined;

  constructor(parts: GroupMemberParts) {
    this.#parts = parts;
  }

  /** Partitions to take from. */
  get logs(): PartitionLog[] {
    return this.#isJoined ? [...this.#logs.values()] : [];
  }

  get isJoined(): boolean {
    return this.#isJoined;
  }

  /** Joins in the background. No effect if it has joined or is joining. */
  join(): void {
    if (this.#consumer !== undefined || this.#isClosed) return;
    const { clients, topic, group, columns } = this.#parts;
    const partitionAssigner: GroupPartitionsAssigner = (current, members, topics, metadata) => {
      this.#distributed = metadata.topics.get(topic)?.partitionsCount;
      return roundRobinAssigner(current, members, topics, metadata);
    };
    const protocol = { name: 'roundrobin', version: 1, ...(columns && { metadata: columns }) };
    const consumer = clients.consumer(group, { partitionAssigner, protocols: [protocol] });
    this.#consumer = consumer;
    consumer.topics.track(topic);
    consumer.on('consumer:group:rebalance', () => this.#distribute());
    consumer.on('consumer:group:join', () => void this.#begin(consumer));
    consumer.on('consumer:heartbeat:stalled', ({ lastError }) => this.#fail(consumer, lastError));
    consumer.on('error' as never, (error: unknown) => this.#fail(consumer, error));
    consumer.joinGroup({}).catch((error: unknown) => this.#fail(consumer, error));
  }

  /**
   * Members join or leave. Progress is committed before this process requests its new partitions.
   */
  #distribute(): void {
    this.#round++;
    this.#distributed = undefined;
    void this.commit();
    this.#isJoined = false;
  }

  /** Takes over its partitions from the group's position; waits for a leader being elected. */
  async #begin(consumer: Consumer): Promise<void> {
    const round = ++this.#round;
    const { topic, changed } = this.#parts;
    const assigned = consumer.assignments?.find((each) => each.topic === topic)?.partitions ?? [];
    const isOver = (): boolean => round !== this.#round || this.#isClosed;
    while (!isOver()) {
      // The client's knowledge may be older than the distribution.
      consumer.clearMetadata();
      try {
        const starts = await this.#startsOf(consumer, assigned);
        if (isOver()) return;
        this.#follow(starts);
        this.#isJoined = true;
        this.failure = undefined;
        return changed();
      } catch (error) {
        if (isOver()) return;
        this.failure = error;
        changed();
        await pause(this.#parts.clock, AGAIN_MS);
      }
    }
  }

  async #startsOf(consumer: Consumer, assigned: readonly number[]): Promise<PartitionStart[]> {
    const { topic } = this.#parts;
    const { topics } = await consumer.metadata({ topics: [topic] });
    const { id: topicId, partitionsCount } = topics.get(topic)!;
    // A topic that was made again may have fewer.
    const partitions = assigned.filter((each) => each < partitionsCount);
    if (partitions.length === 0) return [];
    const asked = { topics: [{ topic, partitions }] };
    const committed = (await consumer.listCommittedOffsets(asked)).get(topic) ?? [];
    const offsets = { topics: [topic], partitions: { [topic]: partitions } };
    const { EARLIEST: timestamp } = ListOffsetTimestamps;
    const first = (await consumer.listOffsets({ ...offsets, timestamp })).get(topic)!;
    const end = (await consumer.listOffsets(offsets)).get(topic)!;
    return partitions.map((partition) => {
      const done = committed[partition];
      const from = startOf(done, first[partition]!, end[partition]!);
      return { topicId, partition, from };
    });
  }

  /** Continues partitions that no other process had in between, and restarts the others. */
  #follow(starts: readonly PartitionStart[]): void {
    const before = this.#logs;
    this.#logs = new Map();
    for (const start of starts) {
      const { topicId, partition, from } = start;
      const kept = before.get(partition);
      const isOwn = kept?.committed === from && kept.topicId === topicId;
      this.#logs.set(partition, isOwn ? kept : this.#parts.makeLog(start));
    }
    for (const log of before.values()) {
      if (this.#logs.get(log.partition) !== log) log.isLost = true;
    }
  }

  /**
   * Begins its partitions again, because the topic was deleted and made again, or lost its last
   * messages: what is known of the old messages would be taken for knowledge of the new ones.
   */
  restart(): void {
    const consumer = this.#consumer;
    if (!this.#isJoined || consumer === undefined) return;
    this.#isJoined = false;
    for (const log of this.#logs.values()) log.isLost = true;
    this.#logs = new Map();
    void this.#begin(consumer);
  }

  /** Abandons a failed client, and soon joins with a new one. */
  #fail(consumer: Consumer, error: unknown): void {
    const { clients, clock, changed } = this.#parts;
    if (consumer !== this.#consumer || this.#isClosed) return;
    this.#round++;
    this.#isJoined = false;
    this.failure = error ?? new Error('the group does not answer');
    void clients.end(consumer, LEAVE_MS);
    clock.after(AGAIN_MS, () => {
      if (consumer !== this.#consumer) return;
      this.#consumer = undefined;
      this.join();
    });
    changed();
  }

  /**
   * Reports the topic's number of partitions. If this member distributed fewer, it requests a new
   * distribution.
   */
  noteSize(partitions: number): void {
    const consumer = this.#consumer;
    const known = this.#distributed;
    if (!this.#isJoined || consumer === undefined || known === undefined) return;
    if (partitions <= known) return;
    this.#distribute();
    // The client would distribute the partitions known some seconds ago.
    consumer.clearMetadata();
    consumer.joinGroup({}).catch((error: unknown) => this.#fail(consumer, error));
  }

  /** Commits soon. */
  commitLater(): void {
    this.#commitTimer ??= this.#parts.clock.after(COMMIT_MS, () => {
      this.#commitTimer = undefined;
      void this.commit();
    });
  }

  /** Commits the progress of partitions. Never rejects: a failed commit is included in the next. */
  async commit(): Promise<void> {
    const consumer = this.#consumer;
    if (!this.#isJoined || consumer === undefined) return;
    // Sent at once if possible: after the request for new partitions it would be refused.
    const earlier = this.#committing;
    const committing = earlier?.then(() => this.#send(consumer)) ?? this.#send(consumer);
    this.#committing = committing;
    await committing;
    if (this.#committing === committing) this.#committing = undefined;
  }

  async #send(consumer: Consumer): Promise<void> {
    const { topic, committed, isTopicMissing } = this.#parts;
    const logs = [...this.#logs.values()].filter((log) => log.doneUpTo > log.committed);
    if (logs.length === 0) return;
    if (isTopicMissing()) return this.commitLater();
    const ends = logs.map((log) => log.doneUpTo);
    const offsets = logs.map(({ partition }, index) => {
      return { topic, partition, offset: ends[index]!, leaderEpoch: -1 };
    });
    try {
      await consumer.commit({ offsets });
      logs.forEach((log, index) => (log.committed = ends[index]!));
      committed(logs);
    } catch {
      if (!this.#isClosed && logs.some(({ isLost }) => !isLost)) this.commitLater();
    }
  }

  /** Commits and leaves the group. Never rejects. */
  async close(timeoutMs: number): Promise<void> {
    const consumer = this.#consumer;
    if (this.#isClosed) return;
    const committing = this.commit();
    this.#isClosed = true;
    await committing;
    this.#commitTimer?.cancel();
    this.#isJoined = false;
    if (consumer !== undefined) await this.#parts.clients.end(consumer, timeoutMs);
  }
}

/**
 * The offset to begin with, by the group's progress. A progress behind the end of the partition is
 * none: the partition lost its end, or the topic was made again.
 */
function startOf(committed: bigint | undefined, first: bigint, end: bigint): bigint {
  return committed === undefined || committed < 0n || committed > end ? first : committed;
}
