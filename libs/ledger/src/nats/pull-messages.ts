import { createInbox, type Msg, type NatsConnection } from '@nats-io/transport-node';
import { systemClock as clock, type Timer } from '../clock/clock.js';
import { NatsMessage } from './nats-message.js';

/** Milliseconds without a message after which a batch is considered complete. */
const QUIET_MS = 250;
/** Milliseconds after the server's wait in which its answer may arrive. */
const ANSWER_MS = 1000;
/** Status of a server that continues to wait. */
const HEARTBEAT = 100;

/** One request for messages of one consumer. @internal */
export interface PullRequest {
  readonly stream: string;
  readonly consumer: string;
  readonly messages: number;
  /** Maximum bytes of the messages with subjects and headers; undefined: no limit. */
  readonly bytes?: number;
  /** Milliseconds that the server waits for the first message; 0: it answers at once. */
  readonly waitMs: number;
  /** First tokens of the reply subject; undefined: the client's default. */
  readonly inboxPrefix: string | undefined;
}

/** The result of a request. @internal */
export interface Pulled {
  readonly messages: NatsMessage[];
  /** Final status of the server: 404, 408, 409, 503; undefined: the request ended without one. */
  readonly status: number | undefined;
  /** The reason why no answer can arrive: the server refused the subscription. */
  readonly refusal: Error | undefined;
}

/**
 * Requests messages, and resolves as soon as no more can be expected. Never rejects. Messages that
 * arrive later, for example after an abort, are returned at once. The client's `consume` is
 * unsuitable: messages that it prefetches exceed their acknowledgement time while workers are busy.
 * Source: https://github.com/nats-io/nats-architecture-and-design/blob/main/adr/ADR-37.md, "Pull
 * Requests"
 *
 * @internal
 */
export function pullMessages(
  nc: NatsConnection,
  request: PullRequest,
  signal: AbortSignal,
): Promise<Pulled> {
  return new Promise((resolve) => new Pull(nc, request, signal, resolve));
}

class Pull {
  readonly #messages: NatsMessage[] = [];
  readonly #abort = (): void => this.#finish();
  #timer: Timer | undefined;
  #isOver = false;

  constructor(
    nc: NatsConnection,
    private readonly request: PullRequest,
    private readonly signal: AbortSignal,
    private readonly resolve: (pulled: Pulled) => void,
  ) {
    const { stream, consumer, waitMs, inboxPrefix } = request;
    const reply = createInbox(inboxPrefix);
    signal.addEventListener('abort', this.#abort);
    this.#finishAfter(waitMs + ANSWER_MS);
    try {
      const subscription = nc.subscribe(reply, {
        callback: (error, msg) => {
          if (error === null) this.#receive(msg);
          else this.#finish(undefined, error);
        },
      });
      // Longer than the lifetime of the request, because messages that the server still sends must
      // be returned.
      clock.after(waitMs + 2 * ANSWER_MS, () => subscription.unsubscribe());
      const body = JSON.stringify(bodyOf(request));
      nc.publish(`$JS.API.CONSUMER.MSG.NEXT.${stream}.${consumer}`, body, { reply });
    } catch {
      this.#finish();
    }
  }

  #receive(msg: Msg): void {
    const status = msg.headers?.code ?? 0;
    if (status > 0) return status === HEARTBEAT ? undefined : this.#finish(status);
    const message = new NatsMessage(msg);
    if (this.#isOver) return message.later(0);
    this.#messages.push(message);
    if (this.#messages.length >= this.request.messages || message.pending === 0) this.#finish();
    else this.#finishAfter(QUIET_MS);
  }

  #finishAfter(ms: number): void {
    this.#timer?.cancel();
    this.#timer = clock.after(ms, () => this.#finish());
  }

  #finish(status?: number, refusal?: Error): void {
    if (this.#isOver) return;
    this.#isOver = true;
    this.#timer?.cancel();
    this.signal.removeEventListener('abort', this.#abort);
    this.resolve({ messages: this.#messages, status, refusal });
  }
}

function bodyOf({ messages, bytes, waitMs }: PullRequest): Record<string, unknown> {
  const limits = bytes === undefined ? { batch: messages } : { batch: messages, max_bytes: bytes };
  return waitMs === 0 ? { ...limits, no_wait: true } : { ...limits, expires: waitMs * 1_000_000 };
}
