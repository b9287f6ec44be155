import type { JetStreamManager } from '@nats-io/jetstream';
import type { StoredMessage } from '../ports/ledger-stream.interface.js';
import { headersOf } from './nats-message.js';

/**
 * The messages of a subject, oldest first, as the stream's leader has them; takes none of them. What is
 * acknowledged meanwhile may be left out.
 *
 * @param subject may have wildcards
 * @throws the client's errors
 * @internal
 */
export async function* browseMessages(
  { streams }: JetStreamManager,
  stream: string,
  subject: string,
): AsyncGenerator<StoredMessage, void> {
  const { state } = await streams.info(stream);
  // Messages that came after the question are no part of the answer, which would never end else.
  for (let next = state.first_seq; next <= state.last_seq;) {
    // The server takes both together since 2.9; the client's type knows one of them only.
    const query = { seq: next, next_by_subj: subject } as { seq: number };
    const message = await streams.getMessage(stream, query);
    if (message === null || message.seq > state.last_seq) return;
    next = message.seq + 1;
    const { data, header } = message;
    const payload = Buffer.from(data.buffer, data.byteOffset, data.length);
    yield { headers: headersOf(header), payload };
  }
}
