import { ListOffsetTimestamps, type Consumer } from '@platformatic/kafka';
import type {
  StreamBacklog,
  StreamTopic,
  UnreadMessages,
} from '../ports/ledger-stream.interface.js';
import { messagesOf, type StoredMessage } from './kafka-message.js';

/** Bytes of each partition that are looked at: the largest message and its headers. */
const SAMPLE_BYTES = 262_144;
/** Time that a broker waits for a message: they are there. */
const WAIT_MS = 1;
const MOST_BYTES = 52_428_800;

/** What of a partition waits. */
interface Waiting {
  readonly partition: number;
  readonly from: bigint;
  readonly messages: number;
}

/**
 * What the writers of a group are not done with. Bytes are those of the first messages of each partition, taken for all
 * of it. A partition whose first message this process can't read is unread from there on.
 *
 * @param consumer in no group, and used for nothing else at this moment
 * @throws the client's errors
 * @internal
 */
export async function readBacklog(
  consumer: Consumer,
  topic: string,
  { reads }: StreamTopic,
  now: number,
): Promise<StreamBacklog> {
  const waiting = await waitingIn(consumer, topic);
  const samples = await sample(consumer, topic, waiting);
  const unread = new Map<string, number>();
  let [messages, bytes, oldestAgeMs] = [0, 0, 0];
  for (const { partition, messages: count } of waiting) {
    messages += count;
    const found = samples.get(partition) ?? [];
    const [first] = found;
    if (first === undefined) continue;
    const sum = found.reduce((total, { payload }) => total + payload.length, 0);
    bytes += Math.round((sum / found.length) * count);
    oldestAgeMs = Math.max(oldestAgeMs, now - first.timestamp);
    if (reads === undefined || reads(first.headers)) continue;
    unread.set(first.fingerprint, (unread.get(first.fingerprint) ?? 0) + count);
  }
  return { messages, bytes, oldestAgeMs, unread: [...unread].map(toUnread) };
}

function toUnread([fingerprint, messages]: [string, number]): UnreadMessages {
  return { fingerprint, messages };
}

async function waitingIn(consumer: Consumer, topic: string): Promise<Waiting[]> {
  const metadata = await consumer.metadata({ topics: [topic] });
  const count = metadata.topics.get(topic)!.partitionsCount;
  const partitions = Array.from({ length: count }, (_, partition) => partition);
  const committed = await consumer.listCommittedOffsets({ topics: [{ topic, partitions }] });
  const first = await consumer.listOffsets({
    topics: [topic],
    timestamp: ListOffsetTimestamps.EARLIEST,
  });
  const end = await consumer.listOffsets({ topics: [topic] });
  return partitions.flatMap((partition) => {
    const start = first.get(topic)![partition]!;
    const done = committed.get(topic)?.[partition] ?? -1n;
    const from = done < start ? start : done;
    const messages = Number(end.get(topic)![partition]! - from);
    return messages > 0 ? [{ partition, from, messages }] : [];
  });
}

/** The first messages of each partition. */
async function sample(
  consumer: Consumer,
  topic: string,
  waiting: readonly Waiting[],
): Promise<Map<number, StoredMessage[]>> {
  const found = new Map<number, StoredMessage[]>();
  if (waiting.length === 0) return found;
  const metadata = await consumer.metadata({ topics: [topic] });
  const { id: topicId, partitions: all } = metadata.topics.get(topic)!;
  const offsets = new Map(waiting.map(({ partition, from }) => [partition, from]));
  for (const node of new Set(waiting.map(({ partition }) => all[partition]!.leader))) {
    const partitions = waiting
      .filter(({ partition }) => all[partition]!.leader === node)
      .map(({ partition, from: fetchOffset }) => ({
        ...{ partition, fetchOffset, partitionMaxBytes: SAMPLE_BYTES },
        ...{ currentLeaderEpoch: -1, lastFetchedEpoch: -1 },
      }));
    const limits = { maxWaitTime: WAIT_MS, minBytes: 1, maxBytes: MOST_BYTES };
    const { responses } = await consumer.fetch({
      node,
      topics: [{ topicId, partitions }],
      ...limits,
    });
    for (const { partitionIndex, records } of responses.flatMap((each) => each.partitions)) {
      if (records)
        found.set(partitionIndex, messagesOf(records, offsets.get(partitionIndex) ?? 0n));
    }
  }
  return found;
}
