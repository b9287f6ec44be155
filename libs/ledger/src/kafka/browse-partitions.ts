import type { Consumer } from '@platformatic/kafka';
import { SinkTransientError } from '../errors/sink.errors.js';
import type { StoredMessage } from '../ports/ledger-stream.interface.js';
import { isAnswer } from './classify-kafka-error.js';
import { fetchFrom, firstOffsets, waitingIn, type Fetched } from './waiting-messages.js';

/** Bytes of one answer: some messages of the largest size. */
const ANSWER_BYTES = 1_048_576;
/** Empty answers after which a partition is given up: each takes a tenth of a second. */
const EMPTY_ANSWERS = 50;

/**
 * The messages that no writer of a group has finished, one partition after the other, oldest first
 * in each, without taking them. Messages deleted meanwhile were written, and are omitted.
 *
 * @param consumer of the group, without having joined it
 * @throws SinkTransientError if a partition stops returning messages; the client's errors
 * @internal
 */
export async function* browsePartitions(
  consumer: Consumer,
  topic: string,
): AsyncGenerator<StoredMessage, void> {
  for (const { partition, from, messages } of await waitingIn(consumer, topic)) {
    // Later messages are not included, because the answer would never end.
    const end = from + BigInt(messages);
    let empty = 0;
    for (let next = from; next < end;) {
      const fetched = await fetchBehind(consumer, topic, partition, next);
      if (fetched.end <= next && ++empty === EMPTY_ANSWERS) throw silent(topic, partition, next);
      if (fetched.end > next) [next, empty] = [fetched.end, 0];
      for (const { offset, headers, payload, timestamp: publishedAt } of fetched.messages) {
        if (offset < end) yield { headers, payload, publishedAt };
      }
    }
  }
}

async function fetchBehind(
  consumer: Consumer,
  topic: string,
  partition: number,
  next: bigint,
): Promise<Fetched> {
  try {
    const found = await fetchFrom(consumer, topic, new Map([[partition, next]]), ANSWER_BYTES);
    return found.get(partition) ?? { messages: [], end: next };
  } catch (error) {
    if (!isAnswer(error, 'OFFSET_OUT_OF_RANGE')) throw error;
    const first = (await firstOffsets(consumer, topic))[partition]!;
    if (first <= next) throw error;
    return { messages: [], end: first };
  }
}

function silent(topic: string, partition: number, offset: bigint): SinkTransientError {
  const text = `partition ${partition} of ${topic} gives no message ${offset}`;
  return new SinkTransientError(text, { outcomeKnown: true });
}
