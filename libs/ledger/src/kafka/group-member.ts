import { ListOffsetTimestamps, roundRobinAssigner, type Consumer } from '@platformatic/kafka';
import { pause, type Clock, type Timer } from '../clock/clock.js';
import type { KafkaClients } from './kafka-clients.js';
import type { PartitionLog } from './partition-log.js';

/** Milliseconds between two commits: what was done since then is delivered again after a crash. */
const COMMIT_MS = 200;
/** Pause after a failure. */
const AGAIN_MS = 250;
/** Time that a consumer which failed gets to leave. */
const LEAVE_MS = 1000;

/** What a group member is made of. @internal */
export interface GroupMemberParts {
  readonly clients: KafkaClients;
  readonly topic: string;
  readonly group: string;
  readonly clock: Clock;
  readonly makeLog: (partition: number, from: bigint) => PartitionLog;
  /** Partitions came or went, or a join failed. */
  readonly changed: () => void;
  /** Up to where partitions are done was committed. */
  readonly committed: (logs: readonly PartitionLog[]) => void;
}

/**
 * This process in the consumer group of a ledger's writers: which partitions it has, and up to where they are
 * done. It joins again by itself, with a new client after a failure. While partitions are distributed it has
 * none to take from; those that it keeps go on where they were.
 *
 * @internal
 */
export class GroupMember {
  /** Why it is not in the group; undefined if it is, or tries for the first time. */
  failure: unknown;
  readonly #parts: GroupMemberParts;
  #consumer: Consumer | undefined;
  #logs = new Map<number, PartitionLog>();
  #isJoined = false;
  #isClosed = false;
  /** Counts distributions, so that a late answer to an earlier one changes nothing. */
  #round = 0;
  #commitTimer: Timer | undefined;
  #committing: Promise<void> | undefined;
  /** Partitions that this process distributed; undefined if another member of the group did. */
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

  /** Joins, in the background. Does nothing if it is joined or on the way. */
  join(): void {
    if (this.#consumer !== undefined || this.#isClosed) return;
    const { clients, topic, group } = this.#parts;
    const consumer = clients.consumer(group, (current, members, topics, metadata) => {
      this.#distributed = metadata.topics.get(topic)?.partitionsCount;
      return roundRobinAssigner(current, members, topics, metadata);
    });
    this.#consumer = consumer;
    consumer.topics.track(topic);
    consumer.on('consumer:group:rebalance', () => this.#distribute());
    consumer.on('consumer:group:join', () => void this.#begin(consumer));
    consumer.on('consumer:heartbeat:stalled', ({ lastError }) => this.#fail(consumer, lastError));
    consumer.on('error' as never, (error: unknown) => this.#fail(consumer, error));
    consumer.joinGroup({}).catch((error: unknown) => this.#fail(consumer, error));
  }

  /** Others join or leave. What is done is committed before this process asks for its new partitions. */
  #distribute(): void {
    this.#round++;
    this.#distributed = undefined;
    void this.commit();
    this.#isJoined = false;
  }

  /** Takes over its partitions from where the group is; a leader that is just elected is waited for. */
  async #begin(consumer: Consumer): Promise<void> {
    const round = ++this.#round;
    const { topic, changed } = this.#parts;
    const assigned = consumer.assignments?.find((each) => each.topic === topic)?.partitions ?? [];
    const isOver = (): boolean => round !== this.#round || this.#isClosed;
    while (!isOver()) {
      // What the client knows may be older than what was distributed.
      consumer.clearMetadata();
      try {
        const from = await this.#startsOf(consumer, assigned);
        if (isOver()) return;
        this.#follow(from);
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

  async #startsOf(
    consumer: Consumer,
    partitions: readonly number[],
  ): Promise<ReadonlyMap<number, bigint>> {
    const { topic } = this.#parts;
    const starts = new Map<number, bigint>();
    if (partitions.length === 0) return starts;
    const topics = [{ topic, partitions: [...partitions] }];
    const committed = (await consumer.listCommittedOffsets({ topics })).get(topic) ?? [];
    const earliest = (
      await consumer.listOffsets({
        ...{ topics: [topic], partitions: { [topic]: [...partitions] } },
        timestamp: ListOffsetTimestamps.EARLIEST,
      })
    ).get(topic)!;
    for (const partition of partitions) {
      const done = committed[partition] ?? -1n;
      starts.set(partition, done < 0n ? earliest[partition]! : done);
    }
    return starts;
  }

  /** Goes on with the partitions that nobody else had in between, and begins the others anew. */
  #follow(starts: ReadonlyMap<number, bigint>): void {
    const before = this.#logs;
    this.#logs = new Map();
    for (const [partition, from] of starts) {
      const kept = before.get(partition);
      const isOwn = kept !== undefined && kept.committed === from;
      this.#logs.set(partition, isOwn ? kept : this.#parts.makeLog(partition, from));
    }
    for (const log of before.values()) {
      if (this.#logs.get(log.partition) !== log) log.isLost = true;
    }
  }

  /** Leaves a client that failed behind, and joins with another one soon. */
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

  /** So many partitions has the topic: the member that distributed fewer has them distributed again. */
  noteSize(partitions: number): void {
    const consumer = this.#consumer;
    const known = this.#distributed;
    if (!this.#isJoined || consumer === undefined || known === undefined) return;
    if (partitions <= known) return;
    this.#distribute();
    // The client would distribute what it knew some seconds ago.
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

  /** Commits up to where partitions are done. Never rejects: what fails is committed with the next. */
  async commit(): Promise<void> {
    const consumer = this.#consumer;
    if (!this.#isJoined || consumer === undefined) return;
    // Sent at once if it can be: behind the request for new partitions it would be refused.
    const earlier = this.#committing;
    const committing = earlier?.then(() => this.#send(consumer)) ?? this.#send(consumer);
    this.#committing = committing;
    await committing;
    if (this.#committing === committing) this.#committing = undefined;
  }

  async #send(consumer: Consumer): Promise<void> {
    const { topic, committed } = this.#parts;
    const logs = [...this.#logs.values()].filter((log) => log.doneUpTo > log.committed);
    if (logs.length === 0) return;
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
    this.#commitTimer?.cancel();
    if (this.#isClosed) return;
    const committing = this.commit();
    this.#isClosed = true;
    await committing;
    this.#isJoined = false;
    if (consumer !== undefined) await this.#parts.clients.end(consumer, timeoutMs);
  }
}
