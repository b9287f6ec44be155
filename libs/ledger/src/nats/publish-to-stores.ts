import { systemClock as clock } from '../clock/clock.js';
import { SinkTransientError } from '../errors/sink.errors.js';
import { classifyNatsError } from './classify-nats-error.js';
import type { NatsSession } from './nats-link.js';
import type { StoreConsumers } from './store-consumers.js';

/** How to publish a message to a stream with several stores. @internal */
export interface StorePublish {
  readonly stores: StoreConsumers;
  readonly session: NatsSession;
  /** Number of the present connection. */
  readonly connection: () => number;
  /** Monotonic milliseconds. */
  readonly until: number;
  /** Sends it, and resolves once the stream has acknowledged it. */
  readonly send: () => Promise<unknown>;
}

/**
 * Publishes a message once the consumers of all stores exist, without which the stream drops it. It
 * also acknowledges a message that it drops. Afterwards the stream must therefore still be the one that had the consumers.
 *
 * @throws SinkTransientError with `outcomeKnown: false` if the message may be in the stream; the client's errors
 * @internal
 */
export async function publishToStores(
  fingerprint: string,
  { stores, session, connection, until, send }: StorePublish,
): Promise<void> {
  do {
    const created = await stores.ensure(session, fingerprint, connection());
    await send();
    try {
      if (await stores.isSame(session, created)) return;
    } catch (error) {
      throw afterSending(error);
    }
  } while (clock.monotonic() < until);
  throw new SinkTransientError('the stream was made again', { outcomeKnown: false });
}

/** A failed look means that the message may be in the stream. */
function afterSending(error: unknown): Error {
  const known = classifyNatsError(error);
  if (!(known instanceof SinkTransientError)) return known;
  return new SinkTransientError(known.message, { outcomeKnown: false, cause: error });
}
