import { headers as natsHeaders } from '@nats-io/transport-node';
import type { StreamInfo } from '@nats-io/jetstream';
import { atMost, pause, systemClock as clock } from '../clock/clock.js';
import { SinkHaltError, SinkRowError, SinkTransientError } from '../errors/sink.errors.js';
import type {
  LedgerStream,
  OutgoingMessage,
  StoredMessage,
  StreamBacklog,
  StreamMessage,
  StreamSafety,
  StreamTopic,
  TakeLimits,
} from '../ports/ledger-stream.interface.js';
import { browseMessages, browseStore } from './browse-messages.js';
import { checkStream } from './check-settings.js';
import { classifyNatsError } from './classify-nats-error.js';
import {
  resolveJetStreamOptions,
  type JetStreamOptions,
  type ResolvedJetStreamOptions,
} from './jet-stream.options.js';
import { LayoutConsumers } from './layout-consumers.js';
import { listConsumers, type ListedConsumers } from './list-consumers.js';
import { NatsLink, type NatsSession } from './nats-link.js';
import { backlogOfAll, backlogOfStore, backlogOfStores } from './read-backlog.js';
import { publishToStores } from './publish-to-stores.js';
import { pullMessages, type Pulled } from './pull-messages.js';
import { safetyOf } from './read-safety.js';
import { StoreConsumers } from './store-consumers.js';
import { consumerOf, ensureStream, subjectsOf } from './stream-config.js';
import { isUnanswered, openFailureOf, streamFailureOf } from './stream-failure.js';

/**
 * Bytes of a message for headers and the subject: 27 columns with names of 40 letters need half of
 * it.
 */
const HEADER_BYTES = 8192;
/** A server's default limit. Source: `MAX_PAYLOAD_SIZE` in nats-server's const.go. */
const MAX_PAYLOAD = 1_048_576;
/** Milliseconds of one wait for a message; other layouts are requested between two waits. */
const WAIT_MS = 1000;
/** A request that ended sooner was refused: more writers wait than the consumer's `max_waiting`. */
const REFUSED_MS = 100;
/** Default time for a connection to send the last acknowledgements. */
const CLOSE_MS = 1000;
/** Time limit for finding the reason of a refusal. */
const DIAGNOSIS_MS = 2000;
/** `verify` proves the completeness of one store. */
const NO_STORE = 'it has several stores: add store=<name> to its address';
/** Statuses of a request: no messages, or the wait is over. */
const NOTHING: ReadonlySet<number> = new Set([404, 408]);

/**
 * A ledger's stream on NATS JetStream. It has the retention `workqueue`, or `interest` for several
 * stores, and discards new messages when full, with one subject for each layout of rows and one
 * durable consumer for each layout and store. Acknowledged messages are on disk of most of the
 * replicas, though not yet synced to it.
 *
 * @internal
 */
export class JetStream implements LedgerStream {
  readonly #options: ResolvedJetStreamOptions;
  #link: NatsLink;
  #topic: StreamTopic | undefined;
  #consumers: LayoutConsumers | undefined;
  /** Undefined with one store. */
  #stores: StoreConsumers | undefined;
  /** The stream's limit of a message, or -1. A person may change it, so every look reads it. */
  #maxMessageBytes = -1;
  /** Whether the stream could lose messages when it was looked at last. */
  #isUnfit = false;
  /** Index of the consumer to ask first the next time. */
  #turn = 0;

  constructor(options: JetStreamOptions) {
    this.#options = resolveJetStreamOptions(options);
    this.#link = new NatsLink(this.#options);
  }

  /** The lower of the servers' limit and the stream's, both of which may change meanwhile. */
  get maxPayloadBytes(): number {
    const most = this.#link.maxPayload ?? MAX_PAYLOAD;
    const limit = this.#maxMessageBytes > 0 ? Math.min(most, this.#maxMessageBytes) : most;
    return Math.max(1, limit - HEADER_BYTES);
  }

  /** Consumers that existed before keep their time. */
  get redeliverMs(): number {
    return this.#consumers?.redeliverMs ?? this.#options.ackWaitMs;
  }

  async open(topic: StreamTopic): Promise<void> {
    if (this.#topic !== undefined) return;
    // Closed by an earlier application that had this object.
    if (this.#link.isClosed) this.#link = new NatsLink(this.#options);
    const link = this.#link;
    try {
      const session = await link.session();
      const { manager } = session;
      const name = this.#nameFor(topic);
      const { config } = await ensureStream(manager, name, topic.ledger, this.#options);
      this.#maxMessageBytes = config.max_msg_size;
      const consumers = this.#consumersOf(topic, name);
      await consumers?.look(session);
      const stores = this.#storesOf(topic, name);
      // A command creates nothing, and neither publishes nor takes.
      if (this.#options.create || consumers !== undefined) {
        await stores?.ensure(session, topic.fingerprint, link.number);
      }
      // Closed meanwhile.
      await link.session();
      this.#consumers = consumers;
      this.#stores = stores;
      this.#topic = topic;
    } catch (error) {
      throw openFailureOf(error, this.#nameFor(topic));
    }
  }

  #nameFor({ ledger }: StreamTopic): string {
    return this.#options.stream ?? `ledger-${ledger}`;
  }

  #consumersOf(topic: StreamTopic, stream: string): LayoutConsumers | undefined {
    const { reads } = topic;
    if (reads === undefined) return undefined;
    const { ackWaitMs, retention, store } = this.#options;
    if (retention === 'interest' && store === undefined) {
      throw new SinkHaltError('jetStream({ store }) must name the store of a writer with interest');
    }
    const now = (): number => clock.monotonic();
    const own = store === undefined ? {} : { store };
    return new LayoutConsumers({ stream, topic: { ...topic, reads }, ackWaitMs, now, ...own });
  }

  #storesOf({ ledger }: StreamTopic, stream: string): StoreConsumers | undefined {
    const { ackWaitMs, retention, stores } = this.#options;
    if (retention === 'workqueue') return undefined;
    return new StoreConsumers({ stream, ledger, stores, ackWaitMs });
  }

  async publish(message: OutgoingMessage, timeoutMs: number): Promise<void> {
    const { ledger } = this.#opened();
    const { fingerprint, headers, payload, bytes } = message;
    if (bytes > this.maxPayloadBytes) {
      throw new SinkRowError(`a message of the stream may have ${this.maxPayloadBytes} bytes`);
    }
    // A person may have changed the stream. Every look checks it, and health looks too.
    if (this.#isUnfit) await this.#info(timeoutMs);
    const session = await this.#link.session();
    const all = natsHeaders();
    for (const [name, value] of Object.entries(headers)) all.append(name, value);
    // A copy: the client may send it after this attempt ends, when the rows' memory is reused.
    const body = Buffer.concat(payload, bytes);
    const timeout = Math.max(1, Math.ceil(timeoutMs));
    // Without an id by which servers would recognize a second copy. The table recognizes its rows; and a server of version
    // 2.10 answers that it has the message as soon as another copy was refused because the stream is full, or waits for the
    // replicas. Source: `processClusteredInboundMsg` in
    // https://github.com/nats-io/nats-server/blob/v2.10.14/server/jetstream_cluster.go
    const send = (): Promise<unknown> =>
      session.client.publish(subjectsOf(ledger).of(fingerprint), body, { headers: all, timeout });
    const stores = this.#stores;
    try {
      if (stores === undefined) await send();
      else {
        const until = clock.monotonic() + timeoutMs;
        const connection = (): number => this.#link.number;
        await publishToStores(fingerprint, { stores, session, connection, until, send });
      }
    } catch (error) {
      stores?.doubt();
      throw await this.#explained(error);
    }
  }

  /**
   * Without an answer the stream may have been deleted, which requires a person. Its limit is lower
   * than before if a message was too large, and is read for the next messages.
   */
  async #explained(error: unknown): Promise<Error> {
    const known = this.#failure(error);
    const isSilent = known instanceof SinkTransientError && isUnanswered(error);
    if (!isSilent && !(known instanceof SinkRowError)) return known;
    try {
      await this.#info(DIAGNOSIS_MS);
    } catch (reason) {
      if (reason instanceof SinkHaltError) return reason;
    }
    return known;
  }

  async take(limits: TakeLimits, signal: AbortSignal): Promise<readonly StreamMessage[]> {
    this.#opened();
    const until = clock.monotonic() + limits.waitMs;
    try {
      for (;;) {
        const session = await this.#link.session();
        if (signal.aborted) return [];
        await this.#link.refusals.checkAcknowledgements(session.nc);
        await this.#consumers?.look(session);
        const there = await this.#takeThere(session, limits, signal);
        const leftMs = until - clock.monotonic();
        if (there.length > 0 || leftMs <= 0 || signal.aborted) return there;
        const askedAt = clock.monotonic();
        const come = await this.#takeNext(session, limits, { signal, leftMs });
        if (come.length > 0) return come;
        if (clock.monotonic() - askedAt < REFUSED_MS) await pause(clock, REFUSED_MS);
      }
    } catch (error) {
      throw this.#failure(error);
    }
  }

  /** Available messages, from the first layout that has any. */
  async #takeThere(
    session: NatsSession,
    { messages, bytes }: TakeLimits,
    signal: AbortSignal,
  ): Promise<StreamMessage[]> {
    const names = this.#consumers?.names ?? [];
    const first = this.#turn++;
    for (let i = 0; i < names.length && !signal.aborted; i++) {
      const consumer = names[(first + i) % names.length]!;
      const pull = async (most: number, size?: number): Promise<StreamMessage[]> => {
        const limit = size === undefined ? {} : { bytes: size };
        return this.#pull(session, { consumer, messages: most, ...limit, waitMs: 0 }, signal);
      };
      let taken = await pull(messages, bytes);
      // The first message alone may be larger, in which case the server returns none.
      if (taken.length === 0) taken = await pull(1);
      if (taken.length > 0) return taken;
    }
    return [];
  }

  /** Waits for a message of the own layout, and takes those that came with it. */
  async #takeNext(
    session: NatsSession,
    { messages, bytes }: TakeLimits,
    { signal, leftMs }: { signal: AbortSignal; leftMs: number },
  ): Promise<StreamMessage[]> {
    const consumer = consumerOf(this.#opened().fingerprint, this.#options.store);
    const waitMs = Math.ceil(Math.min(leftMs, WAIT_MS));
    const first = await this.#pull(session, { consumer, messages: 1, waitMs }, signal);
    const left = bytes - (first[0]?.payload.length ?? 0);
    if (first.length === 0 || messages === 1 || left <= 0 || signal.aborted) return first;
    const request = { consumer, messages: messages - 1, bytes: left, waitMs: 0 };
    // The next request meets the failure as well. Without an acknowledgement, the first message would
    // be redelivered only after its time.
    const others = await this.#pull(session, request, signal).catch(() => []);
    return [...first, ...others];
  }

  async #pull(
    { nc }: NatsSession,
    request: { consumer: string; messages: number; bytes?: number; waitMs: number },
    signal: AbortSignal,
  ): Promise<StreamMessage[]> {
    const stream = this.#nameFor(this.#opened());
    const { inboxPrefix } = this.#options.connection;
    const pulled = await pullMessages(nc, { ...request, stream, inboxPrefix }, signal);
    const isEmpty = pulled.messages.length === 0 && !signal.aborted;
    if (isEmpty) await this.#checkStatus(pulled, request.consumer);
    return pulled.messages;
  }

  /**
   * Checks for a missing consumer or stream, or one without a leader. Servers before 2.10 report
   * nothing then. A busy server or process only answers late: a listed consumer exists, and the
   * next request asks it again.
   */
  async #checkStatus({ status, refusal }: Pulled, consumer: string): Promise<void> {
    const refused = refusal ?? this.#link.refusals.takeRequest();
    if (refused !== undefined) throw refused;
    // 409 is also the answer to a request for fewer bytes than the next message has.
    if (status !== undefined && (NOTHING.has(status) || status === 409)) return;
    this.#consumers?.clear();
    await this.#info(DIAGNOSIS_MS);
    if (status === undefined && (await this.#consumersThere(DIAGNOSIS_MS)).get(consumer)) return;
    const why = status === undefined ? 'no answer' : `status ${status}`;
    throw new SinkTransientError(`the stream is not ready: ${why}`, { outcomeKnown: true });
  }

  async backlog(timeoutMs: number): Promise<StreamBacklog> {
    const { ledger } = this.#opened();
    const info = await this.#info(timeoutMs, subjectsOf(ledger).all);
    const contents = { info, consumers: await this.#consumersThere(timeoutMs) };
    if (this.#stores === undefined) return backlogOfAll(contents);
    this.#stores.compare(contents.consumers.keys());
    const { store } = this.#options;
    if (store === undefined) return backlogOfStores(contents);
    return this.#within(timeoutMs, ({ manager }) =>
      backlogOfStore(manager, contents, { ledger, store }),
    );
  }

  async *browse(): AsyncGenerator<StoredMessage, void> {
    const topic = this.#opened();
    try {
      const session = await this.#link.session();
      const { store } = this.#options;
      const name = this.#nameFor(topic);
      if (this.#stores === undefined) {
        return yield* browseMessages(session.manager, name, subjectsOf(topic.ledger).all);
      }
      if (store === undefined) throw new SinkHaltError(NO_STORE);
      yield* browseStore(session, name, { ledger: topic.ledger, store });
    } catch (error) {
      throw this.#failure(error);
    }
  }

  /**
   * Servers do not report to clients when they sync, only their version: from 2.10 on
   * `sync_interval` in their configuration sets it.
   */
  async safety(timeoutMs: number): Promise<StreamSafety> {
    const info = await this.#info(timeoutMs);
    const { nc } = await this.#link.session();
    return safetyOf(info, nc.info?.version);
  }

  async #consumersThere(timeoutMs: number): Promise<ListedConsumers> {
    const name = this.#nameFor(this.#opened());
    return this.#within(timeoutMs, (session) => listConsumers(session, name));
  }

  async ping(timeoutMs: number): Promise<void> {
    await this.#info(timeoutMs);
  }

  /** @throws SinkHaltError also if the stream could lose messages */
  async #info(timeoutMs: number, filter?: string): Promise<StreamInfo> {
    const topic = this.#opened();
    const query = filter === undefined ? undefined : { subjects_filter: filter };
    const info = await this.#within(timeoutMs, ({ manager }) =>
      manager.streams.info(this.#nameFor(topic), query),
    );
    this.#maxMessageBytes = info.config.max_msg_size;
    this.#isUnfit = true;
    checkStream(info, subjectsOf(topic.ledger).all, this.#options.retention);
    this.#isUnfit = false;
    return info;
  }

  /** @throws SinkTransientError also without an answer in time */
  async #within<T>(timeoutMs: number, ask: (session: NatsSession) => Promise<T>): Promise<T> {
    let answer: { readonly value: T } | undefined;
    try {
      const asking = this.#link
        .session()
        .then(ask)
        .then((value) => (answer = { value }));
      asking.catch(() => undefined);
      await atMost(clock, timeoutMs, asking);
    } catch (error) {
      throw this.#failure(error);
    }
    if (answer !== undefined) return answer.value;
    const text = `the stream did not answer within ${timeoutMs} ms`;
    throw new SinkTransientError(text, { outcomeKnown: true });
  }

  async close(timeoutMs = CLOSE_MS): Promise<void> {
    this.#topic = undefined;
    await this.#link.close(timeoutMs);
  }

  #failure(error: unknown): Error {
    const topic = this.#topic;
    if (topic === undefined) return classifyNatsError(error);
    return streamFailureOf(error, this.#nameFor(topic));
  }

  #opened(): StreamTopic {
    if (this.#topic !== undefined) return this.#topic;
    throw new SinkTransientError('the stream is not open yet', { outcomeKnown: true });
  }
}
