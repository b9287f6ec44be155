import type { ConsumerInfo } from '@nats-io/jetstream';
import { systemClock as clock } from '../clock/clock.js';
import { SinkHaltError, SinkTransientError } from '../errors/sink.errors.js';
import { checkStream } from './check-settings.js';
import { listConsumers, type ListedConsumers } from './list-consumers.js';
import type { NatsSession } from './nats-link.js';
import { SharedQuestion } from './shared-question.js';
import { consumerOf, ensureConsumer, READ, storeOf, subjectsOf } from './stream-config.js';

/** Maximum milliseconds for a new consumer to reach all copies of the stream. */
const SPREAD_MS = 2000;
const SPREAD_LOOK_MS = 50;

/** Input of the stores. */
export interface StoreConsumersParts {
  readonly stream: string;
  readonly ledger: string;
  readonly stores: readonly string[];
  readonly ackWaitMs: number;
}

/**
 * The consumers of all stores of a stream with the retention `interest`. Such a stream drops a
 * message at once if no consumer has its subject, so each layout gets its consumers before its
 * first message. The stream's list of consumers is the list of its stores: a store that any gateway
 * named is served by all of them.
 *
 * @internal
 */
export class StoreConsumers {
  readonly #parts: StoreConsumersParts;
  /** Layouts whose consumers were seen, with the connection and the stream in which they were. */
  readonly #seen = new Map<string, { readonly connection: number; readonly created: string }>();
  readonly #creation: SharedQuestion<NatsSession, string>;
  #stores: ReadonlySet<string>;
  /** Changes with each doubt, so that a check that began before it is not believed. */
  #doubts = 0;

  constructor(parts: StoreConsumersParts) {
    this.#parts = parts;
    this.#stores = new Set(parts.stores);
    this.#creation = new SharedQuestion((session) => this.#createdAt(session));
  }

  /** The consumers may have changed: they are looked up before the next message. */
  doubt(): void {
    this.#doubts++;
    this.#seen.clear();
  }

  /**
   * Resolves once every store has a consumer for the layout. @param connection number of the
   * connection: another one means that the servers may have changed
   * @returns when the stream that has them was created, which identifies it
   * @throws the client's errors
   */
  async ensure(session: NatsSession, layout: string, connection: number): Promise<string> {
    for (;;) {
      const seen = this.#seen.get(layout);
      if (seen?.connection === connection) return seen.created;
      const doubts = this.#doubts;
      // First, so that consumers in a later stream are never taken for those of this one.
      const created = await this.#createdAt(session);
      const names = await listConsumers(session, this.#parts.stream);
      this.#stores = new Set([...this.#parts.stores, ...storesIn(names.keys())]);
      for (const store of this.#stores) {
        if (!names.has(consumerOf(layout, store))) await this.#add(session, layout, store);
      }
      if (doubts === this.#doubts) this.#seen.set(layout, { connection, created });
    }
  }

  async #add({ manager }: NatsSession, fingerprint: string, store: string): Promise<void> {
    const { stream, ledger, ackWaitMs } = this.#parts;
    await ensureConsumer(manager, stream, ledger, { fingerprint, ackWaitMs, store });
    // Each copy decides by itself whether a message has a consumer.
    const until = clock.monotonic() + SPREAD_MS;
    for (;;) {
      const info = await manager.consumers.info(stream, consumerOf(fingerprint, store));
      if (isOnAllCopies(info) || clock.monotonic() > until) return;
      await new Promise<void>((resolve) => clock.after(SPREAD_LOOK_MS, resolve));
    }
  }

  /** Compares what is known with a later list of the stream's consumers. */
  compare(names: Iterable<string>): void {
    const there = new Set(names);
    const isNew = storesIn(there).some((store) => !this.#stores.has(store));
    const all = [...this.#stores].flatMap((store) =>
      [...this.#seen.keys()].map((layout) => consumerOf(layout, store)),
    );
    if (isNew || all.some((name) => !there.has(name))) this.doubt();
  }

  /**
   * Whether the stream is still the one that `ensure` returned. Call it once the stream has acknowledged a message: a
   * stream that was made again in between has dropped it if nobody had made the consumers.
   *
   * @throws the client's errors
   */
  async isSame(session: NatsSession, created: string): Promise<boolean> {
    if ((await this.#creation.ask(session)) === created) return true;
    this.doubt();
    return false;
  }

  async #createdAt({ manager: { streams } }: NatsSession): Promise<string> {
    const { stream, ledger } = this.#parts;
    const info = await streams.info(stream);
    return String(checkStream(info, subjectsOf(ledger).all, 'interest').created);
  }
}

/**
 * A writer of a store that no gateway named would silently miss entries, and a command would count the messages of other
 * stores.
 *
 * @param names of the stream's consumers
 * @throws SinkHaltError that names the store
 * @internal
 */
export function checkStore(names: Iterable<string>, stream: string, store: string): void {
  const stores = storesIn(names);
  if (stores.includes(store) || stores.length === 0) return;
  throw new SinkHaltError(
    `the stream ${stream} keeps entries for the stores ${stores.join(', ')} and not for ${store}: ` +
      `add ${store} to the option stores of the gateways and restart one of them`,
  );
}

/**
 * What a store has not finished is known to the leaders of its consumers alone.
 *
 * @throws SinkTransientError if one has none
 * @internal
 */
export function checkLeaders(consumers: ListedConsumers, store: string): void {
  for (const [name, info] of consumers) {
    if (info !== undefined || storeOf(name) !== store) continue;
    const text = `the stream is not ready: its consumer ${name} has no leader`;
    throw new SinkTransientError(text, { outcomeKnown: true });
  }
}

/** Messages of a consumer that are not acknowledged. @internal */
export function unfinishedOf(info: ConsumerInfo): number {
  return info.num_pending + info.num_ack_pending;
}

/** Whether messages of it wait and no writer has ever read it. @internal */
export function isUnread({ config, num_pending, delivered }: ConsumerInfo): boolean {
  return num_pending > 0 && config.description !== READ && delivered.consumer_seq === 0;
}

function storesIn(names: Iterable<string>): string[] {
  const stores = [...names].flatMap((name) => storeOf(name) ?? []);
  return [...new Set(stores)].sort();
}

function isOnAllCopies({ cluster }: ConsumerInfo): boolean {
  return (cluster?.replicas ?? []).every(({ current, offline }) => current || offline === true);
}
