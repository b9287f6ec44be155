import assert from 'node:assert/strict';
import { setTimeout as delay } from 'node:timers/promises';
import { isLedgerError } from '../errors/is-ledger-error.js';
import type {
  LedgerStream,
  OutgoingMessage,
  StreamHeaders,
  StreamMessage,
} from '../ports/ledger-stream.interface.js';
import type { StreamSubject } from './stream-conformance.js';

/** Time limit for an expected message. */
export const COMES_MS = 20_000;
/** Time to wait for an unexpected message. */
export const QUIET_MS = 300;
/** Limits large enough for any test's messages. */
export const MANY = { messages: 1000, bytes: 1_048_576 };
/** Time limit of a publish that must succeed. */
export const PUBLISH_MS = 10_000;
/** Between two tries of one. */
const PAUSE_MS = 50;

/** The layout that writers of a test read, and one that they don't. */
export const KNOWN = '0123456789abcdef';
export const UNKNOWN = 'fedcba9876543210';

const LEDGER = 'conformance';
/** The header of a message's layout, the only one that the suite's messages need. */
const LAYOUT = 'ledger-fingerprint';

/** The context of one test: its subject, and connections that are closed at the end. */
export class StreamTrial {
  readonly #open: LedgerStream[] = [];
  readonly #never = new AbortController();

  constructor(readonly subject: StreamSubject) {}

  /** A signal that is never aborted. */
  get signal(): AbortSignal {
    return this.#never.signal;
  }

  /** A connection that only publishes. */
  async gateway(): Promise<LedgerStream> {
    return this.#connect({ ledger: LEDGER, fingerprint: KNOWN });
  }

  /** One that takes messages. @param layouts that it reads */
  async writer(...layouts: string[]): Promise<LedgerStream> {
    const read = layouts.length === 0 ? [KNOWN] : layouts;
    const reads = (headers: StreamHeaders): boolean => read.includes(headers[LAYOUT] ?? '');
    return this.#connect({ ledger: LEDGER, fingerprint: read[0]!, reads });
  }

  async #connect(topic: Parameters<LedgerStream['open']>[0]): Promise<LedgerStream> {
    const stream = await this.subject.connect();
    this.#open.push(stream);
    await stream.open(topic);
    return stream;
  }

  /** Ends what is open. */
  async end(): Promise<void> {
    this.#never.abort();
    await Promise.all(this.#open.map((stream) => stream.close(1000)));
  }

  /** Messages with distinct contents, published one after another. */
  async publish(stream: LedgerStream, ...contents: string[]): Promise<OutgoingMessage[]> {
    const messages = contents.map((content) => message(content));
    for (const each of messages) await this.#publish(stream, each);
    return messages;
  }

  /** Retries temporary refusals, like a ledger: a new stream may have no leader yet. */
  async #publish(stream: LedgerStream, message: OutgoingMessage): Promise<void> {
    const until = performance.now() + PUBLISH_MS;
    for (;;) {
      try {
        return await stream.publish(message, PUBLISH_MS);
      } catch (error) {
        const isRefused = isLedgerError(error, 'SINK_TRANSIENT') && error.outcomeKnown;
        if (!isRefused || performance.now() > until) throw error;
      }
      await delay(PAUSE_MS);
    }
  }

  /** Takes until there are so many messages, or the time is over. */
  async take(stream: LedgerStream, count: number, ms = COMES_MS): Promise<StreamMessage[]> {
    const taken: StreamMessage[] = [];
    const until = performance.now() + ms;
    while (taken.length < count && performance.now() < until) {
      const waitMs = Math.max(1, until - performance.now());
      const limits = { ...MANY, messages: count - taken.length, waitMs };
      taken.push(...(await stream.take(limits, this.signal)));
    }
    return taken;
  }

  /** Takes so many messages, which must come, and answers their contents. */
  async contents(stream: LedgerStream, count: number): Promise<string[]> {
    const taken = await this.take(stream, count);
    for (const each of taken) each.done();
    return taken.map(contentOf);
  }

  /** Fails if a message comes. */
  async expectNone(stream: LedgerStream): Promise<void> {
    const taken = await this.take(stream, 1, QUIET_MS);
    assert.deepEqual(taken.map(contentOf), []);
  }
}

/** The payload as text. */
export function contentOf({ payload }: Pick<StreamMessage, 'payload'>): string {
  return payload.toString();
}

/** A message whose payload is a text, in two pieces. */
export function message(content: string, fingerprint = KNOWN): OutgoingMessage {
  const bytes = Buffer.from(content);
  const middle = bytes.length >>> 1;
  return {
    fingerprint,
    headers: { [LAYOUT]: fingerprint, 'ledger-rows': '1' },
    payload: [bytes.subarray(0, middle), bytes.subarray(middle)],
    bytes: bytes.length,
  };
}
