import { ProduceAcks, type Admin, type Consumer, type Producer } from '@platformatic/kafka';
import { atMost, systemClock as clock } from '../clock/clock.js';
import { isLedgerError } from '../errors/is-ledger-error.js';
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
import { browsePartitions } from './browse-partitions.js';
import { classifyKafkaError, isTooLarge, isUnknownTopic } from './classify-kafka-error.js';
import { checkTopic, ensureTopic } from './ensure-topic.js';
import { readGroupReads } from './group-reads.js';
import { KafkaClients } from './kafka-clients.js';
import {
  resolveKafkaOptions,
  type KafkaStreamOptions,
  type ResolvedKafkaOptions,
} from './kafka-stream.options.js';
import { KafkaWriter } from './kafka-writer.js';
import { readBacklog } from './read-backlog.js';
import { readSafety } from './read-safety.js';

/**
 * Bytes of a record batch in addition to its payload: 27 columns with names of 40 letters need half
 * of it.
 */
const HEADER_BYTES = 8192;
/** Default time to leave the group and to send remaining data. */
const CLOSE_MS = 1000;
const CLOSED =
  'the stream was closed and cannot be opened again: make a new one with kafkaStream()';

/**
 * A ledger's stream on Kafka: one topic with several partitions, one consumer group of all writers.
 * Acknowledged messages are in memory of all replicas in sync, at least two of three.
 *
 * @internal
 */
export class KafkaStream implements LedgerStream {
  /** Messages of a partition stay with the writer that owns it. */
  readonly redeliverMs = Number.POSITIVE_INFINITY;
  maxPayloadBytes = 0;
  readonly #options: ResolvedKafkaOptions;
  readonly #clients: KafkaClients;
  readonly #admin: Admin;
  #topic: StreamTopic | undefined;
  #producer: Producer | undefined;
  #writer: KafkaWriter | undefined;
  #prober: Consumer | undefined;
  #probing: Promise<unknown> = Promise.resolve();
  /** Partition of the next message, before the modulo by the number of partitions. */
  #turn = Math.floor(Math.random() * 1000);
  /** A person changed the topic, and nothing is published until its settings are found to fit. */
  #mustCheck = false;
  #isClosed = false;

  constructor(options: KafkaStreamOptions) {
    this.#options = resolveKafkaOptions(options);
    this.#clients = new KafkaClients(this.#options);
    this.#admin = this.#clients.admin();
  }

  async open(topic: StreamTopic, signal?: AbortSignal): Promise<void> {
    if (this.#isClosed) throw new SinkHaltError(CLOSED);
    if (this.#topic !== undefined) return;
    try {
      const name = this.#nameFor(topic);
      const { maxMessageBytes } = await ensureTopic(this.#admin, name, this.#options);
      this.maxPayloadBytes = payloadBytes(maxMessageBytes);
      if (topic.reads !== undefined) {
        this.#writer ??= new KafkaWriter(this.#clients, this.#admin, this.#options, {
          ...{ topic: name, group: this.#groupFor(topic), reads: topic.reads },
          columns: topic.columns ?? '',
        });
        await this.#writer.joined(signal);
      }
      this.#topic = topic;
    } catch (error) {
      throw classifyKafkaError(error);
    }
  }

  #nameFor({ ledger }: StreamTopic): string {
    return this.#options.topic ?? `ledger-${ledger}`;
  }

  #groupFor(topic: StreamTopic): string {
    return this.#options.group ?? this.#nameFor(topic);
  }

  async publish(message: OutgoingMessage, timeoutMs: number): Promise<void> {
    const topic = this.#nameFor(this.#opened());
    const { fingerprint, headers, payload, bytes } = message;
    const until = clock.monotonic() + timeoutMs;
    if (this.#mustCheck) await this.#check(topic, timeoutMs);
    if (bytes > this.maxPayloadBytes) {
      throw new SinkRowError(`a message of the stream may have ${this.maxPayloadBytes} bytes`);
    }
    this.#producer ??= this.#clients.producer();
    // A copy: the client may send it after this attempt ends, when the rows' memory is reused.
    const value = Buffer.concat(payload, bytes);
    const named = new Map(
      Object.entries(headers).map(([name, text]) => [Buffer.from(name), Buffer.from(text)]),
    );
    // A retried message also goes to the next partition, because that of the last try may have no
    // leader.
    const partition = this.#turn++;
    const record = { topic, partition, key: Buffer.from(fingerprint), value, headers: named };
    const sent = { messages: [record], acks: ProduceAcks.ALL };
    try {
      const leftMs = Math.max(1, until - clock.monotonic());
      await within(leftMs, this.#producer.send(sent), false);
    } catch (error) {
      if (isUnknownTopic(error) || isTooLarge(error)) this.#mustCheck = true;
      throw error;
    }
  }

  /** @throws SinkHaltError if the topic could lose messages; SinkTransientError */
  async #check(topic: string, timeoutMs: number): Promise<void> {
    try {
      const checked = checkTopic(this.#admin, topic, this.#options);
      const { maxMessageBytes } = await within(timeoutMs, checked, true);
      this.maxPayloadBytes = payloadBytes(maxMessageBytes);
      this.#mustCheck = false;
    } catch (error) {
      if (isLedgerError(error, 'SINK_HALT')) this.#mustCheck = true;
      throw error;
    }
  }

  async take(limits: TakeLimits, signal: AbortSignal): Promise<readonly StreamMessage[]> {
    this.#opened();
    try {
      return (await this.#writer?.take(limits, signal)) ?? [];
    } catch (error) {
      throw classifyKafkaError(error);
    }
  }

  async backlog(timeoutMs: number): Promise<StreamBacklog> {
    const topic = this.#opened();
    await this.#check(this.#nameFor(topic), timeoutMs);
    await this.#writer?.commit();
    const earlier = this.#probing.catch(() => undefined);
    const probing = earlier.then(async () => {
      this.#prober ??= this.#proberFor(topic);
      const reads = topic.reads ?? (await readGroupReads(this.#admin, this.#groupFor(topic)));
      return readBacklog(this.#prober, this.#nameFor(topic), reads, clock.now());
    });
    this.#probing = probing;
    return within(timeoutMs, probing, true);
  }

  #proberFor(topic: StreamTopic): Consumer {
    const prober = this.#clients.consumer(this.#groupFor(topic));
    prober.topics.track(this.#nameFor(topic));
    return prober;
  }

  async *browse(): AsyncGenerator<StoredMessage, void> {
    const topic = this.#opened();
    // A separate client, in use for as long as the caller reads.
    const browser = this.#proberFor(topic);
    try {
      yield* browsePartitions(browser, this.#nameFor(topic));
    } catch (error) {
      throw classifyKafkaError(error);
    } finally {
      await this.#clients.end(browser, CLOSE_MS);
    }
  }

  async safety(timeoutMs: number): Promise<StreamSafety> {
    return within(timeoutMs, readSafety(this.#admin, this.#nameFor(this.#opened())), true);
  }

  async ping(timeoutMs: number): Promise<void> {
    const topic = this.#nameFor(this.#opened());
    await within(timeoutMs, this.#admin.metadata({ topics: [topic], forceUpdate: true }), true);
  }

  async close(timeoutMs = CLOSE_MS): Promise<void> {
    this.#isClosed = true;
    await this.#writer?.close(timeoutMs);
    await this.#clients.endAll(timeoutMs);
  }

  #opened(): StreamTopic {
    if (this.#isClosed) throw away('the connection is closed');
    if (this.#topic !== undefined) return this.#topic;
    throw away('the stream is not open yet');
  }
}

function payloadBytes(maxMessageBytes: number): number {
  return Math.max(1, maxMessageBytes - HEADER_BYTES);
}

/** @throws SinkTransientError also without an answer in time; SinkHaltError */
async function within<T>(timeoutMs: number, asking: Promise<T>, outcomeKnown: boolean): Promise<T> {
  let answer: { readonly value: T } | undefined;
  try {
    const answering = asking.then((value) => (answer = { value }));
    answering.catch(() => undefined);
    await atMost(clock, timeoutMs, answering);
  } catch (error) {
    throw classifyKafkaError(error);
  }
  if (answer !== undefined) return answer.value;
  const text = `the stream did not answer within ${Math.ceil(timeoutMs)} ms`;
  throw new SinkTransientError(text, { outcomeKnown });
}

function away(message: string): SinkTransientError {
  return new SinkTransientError(message, { outcomeKnown: true });
}
