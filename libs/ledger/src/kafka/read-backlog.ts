import type { Consumer } from '@platformatic/kafka';
import type {
  StreamBacklog,
  StreamHeaders,
  UnreadMessages,
} from '../ports/ledger-stream.interface.js';
import { fetchFrom, waitingIn } from './waiting-messages.js';

/** Inspected bytes of each partition: the largest message and its headers. */
const SAMPLE_BYTES = 262_144;

/**
 * The messages that the writers of a group have not finished. Bytes are extrapolated from the first
 * messages of each partition. A partition whose first message is not read is unread from there on.
 *
 * @param consumer in no group, and not used by others at this time
 * @param reads whether a writer can read a message
 * @throws the client's errors
 * @internal
 */
export async function readBacklog(
  consumer: Consumer,
  topic: string,
  reads: (headers: StreamHeaders) => boolean,
  now: number,
): Promise<StreamBacklog> {
  const waiting = await waitingIn(consumer, topic);
  const starts = new Map(waiting.map(({ partition, from }) => [partition, from]));
  const samples = await fetchFrom(consumer, topic, starts, SAMPLE_BYTES);
  const unread = new Map<string, number>();
  let [messages, bytes, oldestAgeMs] = [0, 0, 0];
  for (const { partition, messages: count } of waiting) {
    messages += count;
    const found = samples.get(partition)?.messages ?? [];
    const [first] = found;
    if (first === undefined) continue;
    const sum = found.reduce((total, { payload }) => total + payload.length, 0);
    bytes += Math.round((sum / found.length) * count);
    oldestAgeMs = Math.max(oldestAgeMs, now - first.timestamp);
    if (reads(first.headers)) continue;
    unread.set(first.fingerprint, (unread.get(first.fingerprint) ?? 0) + count);
  }
  return { messages, bytes, oldestAgeMs, unread: [...unread].map(toUnread) };
}

function toUnread([fingerprint, messages]: [string, number]): UnreadMessages {
  return { fingerprint, messages };
}
