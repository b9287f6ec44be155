import type { JetStreamManager } from '@nats-io/jetstream';
import type { StreamHeaders, StreamTopic } from '../ports/ledger-stream.interface.js';
import { headersOf } from './nats-message.js';
import { ensureConsumer, subjectsOf } from './stream-config.js';

/** Milliseconds between two looks for layouts that gateways began to publish. */
const LOOK_MS = 2000;

/** What the consumers are made for. */
export interface LayoutConsumersParts {
  readonly stream: string;
  readonly topic: StreamTopic & { readonly reads: (headers: StreamHeaders) => boolean };
  readonly ackWaitMs: number;
  /** Monotonic milliseconds. */
  readonly now: () => number;
}

/**
 * The consumers of one writer: that of its own layout, and those of other layouts that it can read, which it
 * finds by the subjects that have messages.
 *
 * @internal
 */
export class LayoutConsumers {
  readonly #parts: LayoutConsumersParts;
  readonly #found = new Set<string>();
  readonly #foreign = new Set<string>();
  #lookedAt = Number.NEGATIVE_INFINITY;

  constructor(parts: LayoutConsumersParts) {
    this.#parts = parts;
  }

  /** Names of the consumers, the one of the own layout first. */
  get names(): readonly string[] {
    return [...this.#found];
  }

  /** Forgets all: one of them is not there any more. */
  clear(): void {
    this.#found.clear();
    this.#foreign.clear();
    this.#lookedAt = Number.NEGATIVE_INFINITY;
  }

  /** Makes what is missing, and looks for other layouts now and then. @throws the client's errors */
  async look(manager: JetStreamManager): Promise<void> {
    const { stream, topic, now } = this.#parts;
    if (!this.#found.has(topic.fingerprint)) await this.#add(manager, topic.fingerprint);
    if (now() - this.#lookedAt < LOOK_MS) return;
    this.#lookedAt = now();
    for (const fingerprint of await waitingLayouts(manager, stream, topic.ledger)) {
      if (this.#found.has(fingerprint) || this.#foreign.has(fingerprint)) continue;
      const headers = await this.#headersOf(manager, fingerprint);
      // Another writer was quicker, so nothing says whether this one can read the next.
      if (headers === undefined) continue;
      if (topic.reads(headers)) await this.#add(manager, fingerprint);
      else this.#foreign.add(fingerprint);
    }
  }

  async #add(manager: JetStreamManager, fingerprint: string): Promise<void> {
    const { stream, topic, ackWaitMs } = this.#parts;
    await ensureConsumer(manager, stream, topic.ledger, { fingerprint, ackWaitMs });
    this.#found.add(fingerprint);
  }

  /** All messages of one subject have the same columns: the last one says which. Undefined: there is none. */
  async #headersOf(
    { streams }: JetStreamManager,
    fingerprint: string,
  ): Promise<StreamHeaders | undefined> {
    const { stream, topic } = this.#parts;
    const subject = subjectsOf(topic.ledger).of(fingerprint);
    const message = await streams.getMessage(stream, { last_by_subj: subject });
    return message === null ? undefined : headersOf(message.header);
  }
}

/** Fingerprints of messages that wait. @throws the client's errors @internal */
export async function waitingLayouts(
  { streams }: JetStreamManager,
  stream: string,
  ledger: string,
): Promise<string[]> {
  const { all } = subjectsOf(ledger);
  const { state } = await streams.info(stream, { subjects_filter: all });
  return Object.keys(state.subjects ?? {}).map((subject) => subject.split('.').at(-1)!);
}
