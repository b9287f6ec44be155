import type { JetStreamManager } from '@nats-io/jetstream';
import type { StreamHeaders, StreamTopic } from '../ports/ledger-stream.interface.js';
import { checkConsumer } from './check-settings.js';
import { headersOf } from './nats-message.js';
import { listConsumers } from './list-consumers.js';
import type { NatsSession } from './nats-link.js';
import { checkStore } from './store-consumers.js';
import { consumerOf, ensureConsumer, READ, subjectsOf } from './stream-config.js';

/** Milliseconds between two looks for new layouts of gateways. */
const LOOK_MS = 2000;

/** Input of the consumers. */
export interface LayoutConsumersParts {
  readonly stream: string;
  readonly topic: StreamTopic & { readonly reads: (headers: StreamHeaders) => boolean };
  readonly ackWaitMs: number;
  /** One of several stores of the stream; undefined: it has one. */
  readonly store?: string;
  /** Monotonic milliseconds. */
  readonly now: () => number;
}

/**
 * The consumers of one writer: that of its own layout, and those of other readable layouts, which
 * it finds by the subjects that have messages.
 *
 * @internal
 */
export class LayoutConsumers {
  readonly #parts: LayoutConsumersParts;
  /** Milliseconds after which each delivers a message again, by layout. */
  readonly #found = new Map<string, number>();
  readonly #foreign = new Set<string>();
  #lookedAt = Number.NEGATIVE_INFINITY;

  constructor(parts: LayoutConsumersParts) {
    this.#parts = parts;
  }

  /** Names of the consumers, that of the own layout first. */
  get names(): readonly string[] {
    return [...this.#found.keys()].map((each) => consumerOf(each, this.#parts.store));
  }

  /** The shortest time in milliseconds after which one of them delivers a message again. */
  get redeliverMs(): number {
    const all = [...this.#found.values()];
    return all.length === 0 ? this.#parts.ackWaitMs : Math.min(...all);
  }

  /** Forgets all, because one of them no longer exists. */
  clear(): void {
    this.#found.clear();
    this.#foreign.clear();
    this.#lookedAt = Number.NEGATIVE_INFINITY;
  }

  /**
   * Makes missing consumers, and looks periodically for other layouts. @throws the client's errors
   */
  async look(session: NatsSession): Promise<void> {
    const { manager } = session;
    const { stream, topic, now, store } = this.#parts;
    if (this.#found.size === 0 && store !== undefined) {
      checkStore((await listConsumers(session, stream)).keys(), stream, store);
    }
    if (!this.#found.has(topic.fingerprint)) await this.#add(session, topic.fingerprint);
    if (now() - this.#lookedAt < LOOK_MS) return;
    this.#lookedAt = now();
    for (const fingerprint of await waitingLayouts(manager, stream, topic.ledger)) {
      if (this.#found.has(fingerprint) || this.#foreign.has(fingerprint)) continue;
      const headers = await this.#headersOf(manager, fingerprint);
      // Another writer was faster, so it is unknown whether this one can read the next message.
      if (headers === undefined) continue;
      if (topic.reads(headers)) await this.#add(session, fingerprint);
      else this.#foreign.add(fingerprint);
    }
  }

  async #add(session: NatsSession, fingerprint: string): Promise<void> {
    const { stream, topic, ackWaitMs, store } = this.#parts;
    const made = await ensureConsumer(session.manager, stream, topic.ledger, {
      ...{ fingerprint, ackWaitMs, store },
      ...(store === undefined ? {} : { description: READ }),
    });
    const name = consumerOf(fingerprint, store);
    const { config } = made ?? (await listConsumers(session, stream)).get(name) ?? {};
    if (config !== undefined) checkConsumer(config, name, stream);
    this.#found.set(fingerprint, (config?.ack_wait ?? ackWaitMs * 1_000_000) / 1_000_000);
  }

  /**
   * All messages of one subject have the same columns, so the last one shows them. Undefined if
   * there is none.
   */
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

/** Fingerprints of waiting messages. @throws the client's errors @internal */
export async function waitingLayouts(
  { streams }: JetStreamManager,
  stream: string,
  ledger: string,
): Promise<string[]> {
  const { all } = subjectsOf(ledger);
  const { state } = await streams.info(stream, { subjects_filter: all });
  return Object.keys(state.subjects ?? {}).map((subject) => subject.split('.').at(-1)!);
}
