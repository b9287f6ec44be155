import { headers as natsHeaders, type NatsConnection } from '@nats-io/transport-node';
import type { StreamInfo } from '@nats-io/jetstream';
import { atMost, systemClock as clock } from '../clock/clock.js';
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
import { browseMessages } from './browse-messages.js';
import { classifyNatsError } from './classify-nats-error.js';
import {
  resolveJetStreamOptions,
  type JetStreamOptions,
  type ResolvedJetStreamOptions,
} from './jet-stream.options.js';
import { LayoutConsumers } from './layout-consumers.js';
import { NatsLink, type NatsSession } from './nats-link.js';
import { pullMessages, type Pulled } from './pull-messages.js';
import { ensureStream, isNotFound, subjectsOf } from './stream-config.js';

/** Bytes of a message that headers and the subject take: 27 columns with names of 40 letters are half of it. */
const HEADER_BYTES = 8192;
/** Milliseconds of one wait for a message: between two, other layouts are asked for. */
const WAIT_MS = 1000;
/** Time that a connection gets to send the last acknowledgements, unless the caller says. */
const CLOSE_MS = 1000;
/** Time of a look for the reason of a refusal. */
const DIAGNOSIS_MS = 2000;
/** Statuses of a request: nothing is there, or the wait is over. */
const NOTHING: ReadonlySet<number> = new Set([404, 408]);

/**
 * A ledger's stream on NATS JetStream: one stream with the retention `workqueue` that discards new messages
 * when it is full, one subject and one durable consumer for each layout of rows. Messages are on disk of most of
 * the replicas, though not yet synced to it, when they are acknowledged.
 *
 * @internal
 */
export class JetStream implements LedgerStream {
  readonly redeliverMs: number;
  maxPayloadBytes = 0;
  readonly #options: ResolvedJetStreamOptions;
  readonly #link: NatsLink;
  #topic: StreamTopic | undefined;
  #consumers: LayoutConsumers | undefined;
  /** Of the consumer that is asked first the next time. */
  #turn = 0;

  constructor(options: JetStreamOptions) {
    this.#options = resolveJetStreamOptions(options);
    this.redeliverMs = this.#options.ackWaitMs;
    this.#link = new NatsLink(this.#options);
  }

  async open(topic: StreamTopic): Promise<void> {
    if (this.#topic !== undefined) return;
    try {
      const { nc, manager } = await this.#link.session();
      const name = this.#nameFor(topic);
      const { config } = await ensureStream(manager, name, topic.ledger, this.#options);
      this.maxPayloadBytes = payloadBytes(nc, config.max_msg_size);
      const consumers = this.#consumersOf(topic, name);
      await consumers?.look(manager);
      this.#consumers = consumers;
      this.#topic = topic;
    } catch (error) {
      throw classifyNatsError(error);
    }
  }

  #nameFor({ ledger }: StreamTopic): string {
    return this.#options.stream ?? `ledger-${ledger}`;
  }

  #consumersOf(topic: StreamTopic, stream: string): LayoutConsumers | undefined {
    const { reads } = topic;
    if (reads === undefined) return undefined;
    const { ackWaitMs } = this.#options;
    const now = (): number => clock.monotonic();
    return new LayoutConsumers({ stream, topic: { ...topic, reads }, ackWaitMs, now });
  }

  async publish(message: OutgoingMessage, timeoutMs: number): Promise<void> {
    const { ledger } = this.#opened();
    const { id, fingerprint, headers, payload, bytes } = message;
    if (bytes > this.maxPayloadBytes) {
      throw new SinkRowError(`a message of the stream may have ${this.maxPayloadBytes} bytes`);
    }
    const { client } = await this.#link.session();
    const all = natsHeaders();
    for (const [name, value] of Object.entries(headers)) all.append(name, value);
    // A copy: the client may send it later than this attempt ends, when the rows' memory has others.
    const body = Buffer.concat(payload, bytes);
    const timeout = Math.max(1, Math.ceil(timeoutMs));
    try {
      await client.publish(subjectsOf(ledger).of(fingerprint), body, {
        ...{ msgID: id, headers: all, timeout },
      });
    } catch (error) {
      throw await this.#explained(error);
    }
  }

  /** Where nobody answers, the stream may not be there any more: then a person is needed. */
  async #explained(error: unknown): Promise<Error> {
    const known = classifyNatsError(error);
    if (!(known instanceof SinkTransientError) || !isUnanswered(error)) return known;
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
        await this.#consumers?.look(session.manager);
        const there = await this.#takeThere(session, limits, signal);
        const leftMs = until - clock.monotonic();
        if (there.length > 0 || leftMs <= 0 || signal.aborted) return there;
        const come = await this.#takeNext(session, limits, { signal, leftMs });
        if (come.length > 0) return come;
      }
    } catch (error) {
      throw classifyNatsError(error);
    }
  }

  /** Messages that are there, of the first layout that has some. */
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
      // The first one alone may be larger, and the server gives none then.
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
    const { fingerprint: consumer } = this.#opened();
    const waitMs = Math.ceil(Math.min(leftMs, WAIT_MS));
    const first = await this.#pull(session, { consumer, messages: 1, waitMs }, signal);
    const left = bytes - (first[0]?.payload.length ?? 0);
    if (first.length === 0 || messages === 1 || left <= 0 || signal.aborted) return first;
    const request = { consumer, messages: messages - 1, bytes: left, waitMs: 0 };
    return [...first, ...(await this.#pull(session, request, signal))];
  }

  async #pull(
    { nc }: NatsSession,
    request: { consumer: string; messages: number; bytes?: number; waitMs: number },
    signal: AbortSignal,
  ): Promise<StreamMessage[]> {
    const stream = this.#nameFor(this.#opened());
    const pulled = await pullMessages(nc, { ...request, stream }, signal);
    const isEmpty = pulled.messages.length === 0 && !signal.aborted;
    if (isEmpty) await this.#checkStatus(pulled, request.consumer);
    return pulled.messages;
  }

  /**
   * A consumer or the stream may be gone, or has no leader at this moment. Servers before 2.10 say nothing then. A busy
   * server or process only answers late: a consumer that is listed lives, and the next request asks it again.
   */
  async #checkStatus({ status }: Pulled, consumer: string): Promise<void> {
    // 409 is also said of a request that asked for fewer bytes than the next message has.
    if (status !== undefined && (NOTHING.has(status) || status === 409)) return;
    this.#consumers?.clear();
    await this.#info(DIAGNOSIS_MS);
    if (status === undefined && (await this.#consumerNames(DIAGNOSIS_MS)).has(consumer)) return;
    const why = status === undefined ? 'no answer' : `status ${status}`;
    throw new SinkTransientError(`the stream is not ready: ${why}`, { outcomeKnown: true });
  }

  async backlog(timeoutMs: number): Promise<StreamBacklog> {
    const { ledger } = this.#opened();
    const { state } = await this.#info(timeoutMs, subjectsOf(ledger).all);
    const { messages, bytes, first_ts: oldest, subjects = {} } = state;
    const consumers = await this.#consumerNames(timeoutMs);
    const unread = Object.entries(subjects).flatMap(([subject, count]) => {
      const fingerprint = subject.split('.').at(-1)!;
      return consumers.has(fingerprint) ? [] : [{ fingerprint, messages: count }];
    });
    const oldestAgeMs = messages === 0 ? 0 : Math.max(0, clock.now() - Date.parse(`${oldest}`));
    return { messages, bytes, oldestAgeMs, unread };
  }

  async *browse(): AsyncGenerator<StoredMessage, void> {
    const topic = this.#opened();
    try {
      const { manager } = await this.#link.session();
      yield* browseMessages(manager, this.#nameFor(topic), subjectsOf(topic.ledger).all);
    } catch (error) {
      throw classifyNatsError(error);
    }
  }

  /** Clients are not told when servers sync, only that they may from 2.10 on: `sync_interval` is in their files. */
  async safety(timeoutMs: number): Promise<StreamSafety> {
    const { config } = await this.#info(timeoutMs);
    const { nc } = await this.#link.session();
    return { copies: config.num_replicas, syncs: maySync(nc.info?.version) ? undefined : false };
  }

  async #consumerNames(timeoutMs: number): Promise<Set<string>> {
    return this.#within(timeoutMs, async ({ manager }) => {
      const names = new Set<string>();
      for await (const { name } of manager.consumers.list(this.#nameFor(this.#opened())))
        names.add(name);
      return names;
    });
  }

  async ping(timeoutMs: number): Promise<void> {
    await this.#info(timeoutMs);
  }

  async #info(timeoutMs: number, filter?: string): Promise<StreamInfo> {
    const name = this.#nameFor(this.#opened());
    return this.#within(timeoutMs, ({ manager }) =>
      manager.streams.info(name, filter === undefined ? undefined : { subjects_filter: filter }),
    );
  }

  /** @throws SinkTransientError also if there is no answer in time */
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
      throw isNotFound(error)
        ? missing(this.#nameFor(this.#opened()), error)
        : classifyNatsError(error);
    }
    if (answer !== undefined) return answer.value;
    const text = `the stream did not answer within ${timeoutMs} ms`;
    throw new SinkTransientError(text, { outcomeKnown: true });
  }

  async close(timeoutMs = CLOSE_MS): Promise<void> {
    await this.#link.close(timeoutMs);
  }

  #opened(): StreamTopic {
    if (this.#topic !== undefined) return this.#topic;
    throw new SinkTransientError('the stream is not open yet', { outcomeKnown: true });
  }
}

function payloadBytes(nc: NatsConnection, streamMax: number): number {
  const most = nc.info?.max_payload ?? 1_048_576;
  return Math.max(1, (streamMax > 0 ? Math.min(most, streamMax) : most) - HEADER_BYTES);
}

/** Whether servers of that version know `sync_interval`. */
function maySync(version = ''): boolean {
  const [major = 0, minor = 0] = version.split('.').map(Number);
  return major > 2 || (major === 2 && minor >= 10);
}

function isUnanswered(error: unknown): boolean {
  return (
    error instanceof Error &&
    ['JetStreamNotEnabled', 'TimeoutError', 'NoRespondersError'].includes(error.name)
  );
}

function missing(name: string, cause: unknown): SinkHaltError {
  return new SinkHaltError(
    `there is no stream ${name} any more: make it again, or restart a gateway`,
    { cause },
  );
}
