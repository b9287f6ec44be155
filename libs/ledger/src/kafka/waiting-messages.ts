import { ListOffsetTimestamps, type Consumer } from '@platformatic/kafka';
import { isAnswer } from './classify-kafka-error.js';
import { endOf, messagesOf, type StoredMessage } from './kafka-message.js';

/** Milliseconds that a broker waits for a message; the messages already exist. */
const WAIT_MS = 100;
const MOST_BYTES = 52_428_800;

/** The waiting messages of a partition. */
interface Waiting {
  readonly partition: number;
  /** Offset of the first message that no writer has finished. */
  readonly from: bigint;
  readonly messages: number;
}

/** Contiguous messages of one partition. @internal */
export interface Fetched {
  readonly messages: readonly StoredMessage[];
  /** Offset after the last of them, or after skipped records. */
  readonly end: bigint;
}

/**
 * The messages of each partition that the writers of a group have not finished; partitions without
 * any are omitted.
 *
 * @param consumer of the group, possibly without having joined
 * @throws the client's errors
 * @internal
 */
export async function waitingIn(consumer: Consumer, topic: string): Promise<Waiting[]> {
  // What the client knows may be of a deleted topic with the same name.
  const metadata = await consumer.metadata({ topics: [topic], forceUpdate: true });
  const count = metadata.topics.get(topic)!.partitionsCount;
  const partitions = Array.from({ length: count }, (_, partition) => partition);
  const committed = await consumer.listCommittedOffsets({ topics: [{ topic, partitions }] });
  const first = await firstOffsets(consumer, topic);
  const end = await consumer.listOffsets({ topics: [topic] });
  return partitions.flatMap((partition) => {
    const [start, last] = [first[partition]!, end.get(topic)![partition]!];
    const done = committed.get(topic)?.[partition] ?? -1n;
    // A progress behind the end is that of a deleted topic with the same name.
    const from = done < start || done > last ? start : done;
    const messages = Number(last - from);
    return messages > 0 ? [{ partition, from, messages }] : [];
  });
}

/** The first existing offset of each partition. @throws the client's errors @internal */
export async function firstOffsets(consumer: Consumer, topic: string): Promise<readonly bigint[]> {
  const request = { topics: [topic], timestamp: ListOffsetTimestamps.EARLIEST };
  return (await consumer.listOffsets(request)).get(topic)!;
}

/**
 * Some messages of partitions, from their leaders, without taking them. A partition without a
 * message is omitted.
 *
 * @param from offset of each partition
 * @param bytes of each partition; the first message alone may have more
 * @throws the client's errors, even for one partition only
 * @internal
 */
export async function fetchFrom(
  consumer: Consumer,
  topic: string,
  from: ReadonlyMap<number, bigint>,
  bytes: number,
): Promise<Map<number, Fetched>> {
  const metadata = await consumer.metadata({ topics: [topic] });
  const { id: topicId, partitions: all } = metadata.topics.get(topic)!;
  const found = new Map<number, Fetched>();
  const leaderOf = (partition: number): number => all[partition]!.leader;
  for (const node of new Set([...from.keys()].map(leaderOf))) {
    const partitions = [...from]
      .filter(([partition]) => leaderOf(partition) === node)
      .map(([partition, fetchOffset]) => ({
        ...{ partition, fetchOffset, partitionMaxBytes: bytes },
        ...{ currentLeaderEpoch: -1, lastFetchedEpoch: -1 },
      }));
    const limits = { maxWaitTime: WAIT_MS, minBytes: 1, maxBytes: MOST_BYTES };
    const topics = [{ topicId, partitions }];
    const { responses } = await inSession(() => consumer.fetch({ node, topics, ...limits }));
    for (const { partitionIndex, records } of responses.flatMap((each) => each.partitions)) {
      const end = records ? endOf(records) : undefined;
      if (!records || end === undefined) continue;
      const messages = messagesOf(records, from.get(partitionIndex) ?? 0n);
      found.set(partitionIndex, { messages, end });
    }
  }
  return found;
}

/**
 * Answers after which the client begins a new session: brokers drop old sessions, and count a
 * failed request.
 */
const SESSION_OVER = ['FETCH_SESSION_ID_NOT_FOUND', 'INVALID_FETCH_SESSION_EPOCH'];

async function inSession<T>(fetch: () => Promise<T>): Promise<T> {
  try {
    return await fetch();
  } catch (error) {
    if (!SESSION_OVER.some((answer) => isAnswer(error, answer))) throw error;
    return fetch();
  }
}
