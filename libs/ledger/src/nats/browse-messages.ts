import type { JetStreamManager } from '@nats-io/jetstream';
import type { StoredMessage } from '../ports/ledger-stream.interface.js';
import { headersOf } from './nats-message.js';
import { listConsumers } from './list-consumers.js';
import type { NatsSession } from './nats-link.js';
import { checkLeaders, checkStore } from './store-consumers.js';
import { consumerOf, subjectsOf } from './stream-config.js';
import { waitingLayouts } from './layout-consumers.js';

/**
 * The messages of a subject, oldest first, as stored by the stream's leader, without taking them.
 * Messages acknowledged meanwhile may be missing.
 *
 * @param subject may have wildcards
 * @param from lowest number in the stream
 * @throws the client's errors
 * @internal
 */
export async function* browseMessages(
  { streams }: JetStreamManager,
  stream: string,
  subject: string,
  from = 0,
): AsyncGenerator<StoredMessage, void> {
  const { state } = await streams.info(stream);
  // Later messages are not included, because the answer would never end.
  for (let next = Math.max(from, state.first_seq); next <= state.last_seq;) {
    // The server accepts both together since 2.9; the client's type has only one of them.
    const query = { seq: next, next_by_subj: subject } as { seq: number };
    const message = await streams.getMessage(stream, query);
    if (message === null || message.seq > state.last_seq) return;
    next = message.seq + 1;
    const { data, header, time } = message;
    const payload = Buffer.from(data.buffer, data.byteOffset, data.length);
    yield { headers: headersOf(header), payload, publishedAt: +time };
  }
}

/**
 * The messages that one of several stores has not finished, by layout, each oldest first. The
 * server tells up to which message all are finished, so later finished ones are included.
 *
 * @throws SinkHaltError if the stream has other stores only; SinkTransientError if a consumer of the store has no
 * leader; the client's errors
 * @internal
 */
export async function* browseStore(
  session: NatsSession,
  stream: string,
  { ledger, store }: { readonly ledger: string; readonly store: string },
): AsyncGenerator<StoredMessage, void> {
  const { manager } = session;
  const consumers = await listConsumers(session, stream);
  checkStore(consumers.keys(), stream, store);
  checkLeaders(consumers, store);
  for (const fingerprint of await waitingLayouts(manager, stream, ledger)) {
    // Without a consumer the store has finished none of them.
    const floor = consumers.get(consumerOf(fingerprint, store))?.ack_floor.stream_seq ?? 0;
    yield* browseMessages(manager, stream, subjectsOf(ledger).of(fingerprint), floor + 1);
  }
}
