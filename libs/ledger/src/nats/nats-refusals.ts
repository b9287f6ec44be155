import type { NatsConnection } from '@nats-io/transport-node';
import { acknowledgementsOf } from './nats-message.js';

/** First tokens of subjects that are published without waiting for an answer. */
const ACKNOWLEDGEMENT = '$JS.ACK.';
const REQUEST = '$JS.API.CONSUMER.MSG.NEXT.';
/** Time limit of the server's answer to a sign of life. */
const ANSWER_MS = 2000;

/** The server's refusal of a subject, as the client reports it. @internal */
export interface NatsRefusal extends Error {
  readonly operation: 'publish' | 'subscription';
  readonly subject: string;
}

/** The refusal that an error is, or that caused it. By name: there may be two copies of the client. @internal */
export function refusalIn(error: unknown): NatsRefusal | undefined {
  if (!(error instanceof Error)) return undefined;
  for (const each of [error, error.cause]) {
    if (each instanceof Error && each.name === 'PermissionViolationError')
      return each as NatsRefusal;
  }
  return undefined;
}

/**
 * The right that a refusal is about, as permissions of the servers name it. The same for each message and connection.
 *
 * @internal
 */
export function rightOf({ operation, subject }: NatsRefusal): string {
  if (operation === 'subscription') {
    // The last token of an inbox is random; that of the client's requests has a wildcard after it.
    return `subscribe to ${subject.replace(/\.[^.]+(\.\*)?$/, '')}.>`;
  }
  const isReply = subject.startsWith(ACKNOWLEDGEMENT);
  return `publish to ${isReply ? acknowledgementsOf(subject) : subject}`;
}

/**
 * Refusals of messages that are sent without waiting for an answer: requests for messages, and
 * acknowledgements. Without them such a process would seem to have nothing to do.
 *
 * @internal
 */
export class NatsRefusals {
  #request: NatsRefusal | undefined;
  #acknowledgement: NatsRefusal | undefined;

  /** Notes an error that the client reported for the whole connection. */
  note(error: Error): void {
    const refusal = refusalIn(error);
    if (refusal?.operation !== 'publish') return;
    if (refusal.subject.startsWith(REQUEST)) this.#request = refusal;
    else if (refusal.subject.startsWith(ACKNOWLEDGEMENT)) this.#acknowledgement = refusal;
  }

  /** The last refused request for messages; the next call returns it no more. */
  takeRequest(): NatsRefusal | undefined {
    const refusal = this.#request;
    this.#request = undefined;
    return refusal;
  }

  /**
   * Rejects while acknowledgements are refused. Sends a sign of life for the message whose acknowledgement was
   * refused last: it never ends a message, whatever should have been sent.
   *
   * @throws the refusal
   */
  async checkAcknowledgements(nc: NatsConnection): Promise<void> {
    const refusal = this.#acknowledgement;
    if (refusal === undefined) return;
    try {
      await nc.request(refusal.subject, '+WPI', { timeout: ANSWER_MS });
    } catch (error) {
      const again = refusalIn(error);
      if (again !== undefined) throw again;
      // Without an answer it was not refused: the consumer may be gone.
    }
    this.#acknowledgement = undefined;
  }
}
