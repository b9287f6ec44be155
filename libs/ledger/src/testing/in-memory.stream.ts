import { systemClock, type Clock } from '../clock/clock.js';
import { SinkHaltError, SinkRowError, SinkTransientError } from '../errors/sink.errors.js';
import type {
  LedgerStream,
  OutgoingMessage,
  StoredMessage,
  StreamBacklog,
  StreamHeaders,
  StreamMessage,
  StreamTopic,
  TakeLimits,
} from '../ports/ledger-stream.interface.js';

/** Options of a stream in memory. @publicApi */
export interface InMemoryStreamOptions {
  /** Default: the machine's. */
  readonly clock?: Clock;
  /** Milliseconds until an unfinished message is delivered again. Default: 30,000. */
  readonly redeliverMs?: number;
  /** Maximum bytes of one payload. Default: 1 MiB. */
  readonly maxPayloadBytes?: number;
}

/** A message in the log. */
interface LoggedMessage {
  readonly ledger: string;
  readonly fingerprint: string;
  readonly headers: StreamHeaders;
  readonly payload: Buffer;
  /** Monotonic milliseconds. */
  readonly publishedAt: number;
  deliveries: number;
  /** Earliest delivery, in monotonic milliseconds. */
  readyAt: number;
  /** The connection that holds it; undefined: none. */
  taker: InMemoryStreamClient | undefined;
}

/** Why a stream in memory does not answer. @publicApi */
export type StreamFault = 'transient' | 'halt';

/**
 * A stream in memory, shared by gateways and writers of one process: call `connect()` for each. It
 * delivers messages in order, delivers them again after `redeliverMs`, and fails on request.
 *
 * @publicApi
 */
export class InMemoryStream {
  readonly redeliverMs: number;
  readonly maxPayloadBytes: number;
  readonly #clock: Clock;
  readonly #messages: LoggedMessage[] = [];
  readonly #takers = new Set<() => void>();
  readonly #clients = new Set<InMemoryStreamClient>();
  #fault: StreamFault | undefined;

  constructor(options: InMemoryStreamOptions = {}) {
    const { clock = systemClock, redeliverMs = 30_000, maxPayloadBytes = 1_048_576 } = options;
    this.#clock = clock;
    this.redeliverMs = redeliverMs;
    this.maxPayloadBytes = maxPayloadBytes;
  }

  /** Connects a gateway or a writer. */
  connect(): LedgerStream {
    const client = new InMemoryStreamClient(this, this.#clock);
    this.enter(client);
    return client;
  }

  /** @internal */
  enter(client: InMemoryStreamClient): void {
    this.#clients.add(client);
  }

  /** From now on every call fails, until called with `undefined`. */
  failAlways(fault: StreamFault | undefined): void {
    this.#fault = fault;
    this.wake();
  }

  /** Payloads in the log, oldest first: copies. */
  payloads(): Buffer[] {
    return this.#messages.map(({ payload }) => Buffer.from(payload));
  }

  /** Adds a message to the log that no gateway would publish. */
  inject(ledger: string, message: Omit<OutgoingMessage, 'bytes'>): void {
    this.append(ledger, message);
  }

  /** @internal */
  check(): void {
    if (this.#fault === 'transient') {
      throw new SinkTransientError('the stream is away', { outcomeKnown: true });
    }
    if (this.#fault === 'halt') throw new SinkHaltError('the stream refuses every message');
  }

  /** @internal */
  append(ledger: string, { fingerprint, headers, payload }: Omit<OutgoingMessage, 'bytes'>): void {
    this.#messages.push({
      ledger,
      fingerprint,
      headers: { ...headers },
      payload: Buffer.concat(payload),
      publishedAt: this.#clock.monotonic(),
      deliveries: 0,
      readyAt: Number.NEGATIVE_INFINITY,
      taker: undefined,
    });
    this.wake();
  }

  /** @internal */
  takeReady(taker: InMemoryStreamClient, { messages, bytes }: TakeLimits): StreamMessage[] {
    const now = this.#clock.monotonic();
    const taken: StreamMessage[] = [];
    let size = 0;
    for (const message of this.#messages) {
      if (taken.length >= messages) break;
      if (message.readyAt > now || !taker.isFor(message)) continue;
      if (taken.length > 0 && size + message.payload.length > bytes) break;
      size += message.payload.length;
      taken.push(this.#deliver(message, taker));
    }
    return taken;
  }

  #deliver(message: LoggedMessage, taker: InMemoryStreamClient): StreamMessage {
    const delivery = ++message.deliveries;
    message.taker = taker;
    message.readyAt = this.#clock.monotonic() + this.redeliverMs;
    const isMine = (): boolean => message.deliveries === delivery && message.taker === taker;
    return {
      headers: message.headers,
      payload: message.payload,
      redeliveries: delivery - 1,
      done: () => {
        const index = isMine() ? this.#messages.indexOf(message) : -1;
        if (index >= 0) this.#messages.splice(index, 1);
      },
      later: (ms) => {
        if (!isMine()) return;
        this.#giveBack(message, this.#clock.monotonic() + ms);
      },
      alive: () => {
        if (isMine()) message.readyAt = this.#clock.monotonic() + this.redeliverMs;
      },
    };
  }

  #giveBack(message: LoggedMessage, readyAt: number): void {
    message.taker = undefined;
    message.readyAt = readyAt;
    this.wake();
  }

  /** @internal */
  leave(client: InMemoryStreamClient): void {
    this.#clients.delete(client);
    for (const message of this.#messages) {
      if (message.taker === client) this.#giveBack(message, Number.NEGATIVE_INFINITY);
    }
  }

  /** Monotonic milliseconds of the next delayed delivery. @internal */
  get nextReadyAt(): number {
    const now = this.#clock.monotonic();
    const later = this.#messages.map(({ readyAt }) => readyAt).filter((at) => at > now);
    return Math.min(Number.POSITIVE_INFINITY, ...later);
  }

  /** Resolves at the next change. @internal */
  whenChanged(callback: () => void): () => void {
    this.#takers.add(callback);
    return () => this.#takers.delete(callback);
  }

  /** @internal */
  wake(): void {
    for (const callback of [...this.#takers]) callback();
  }

  /** @internal */
  stored(ledger: string): StoredMessage[] {
    const own = this.#messages.filter((each) => each.ledger === ledger);
    const { now, monotonic } = { now: this.#clock.now(), monotonic: this.#clock.monotonic() };
    return own.map(({ headers, payload, publishedAt }) => ({
      ...{ headers, payload: Buffer.from(payload) },
      publishedAt: now - (monotonic - publishedAt),
    }));
  }

  /** @internal */
  backlogOf(ledger: string): StreamBacklog {
    const own = this.#messages.filter((each) => each.ledger === ledger);
    const now = this.#clock.monotonic();
    const counts = new Map<string, number>();
    for (const message of own) {
      const isRead = [...this.#clients].some((client) => client.isFor(message));
      if (!isRead) counts.set(message.fingerprint, (counts.get(message.fingerprint) ?? 0) + 1);
    }
    return {
      messages: own.length,
      bytes: own.reduce((sum, { payload }) => sum + payload.length, 0),
      oldestAgeMs: own.length === 0 ? 0 : now - own[0]!.publishedAt,
      unread: [...counts].map(([fingerprint, messages]) => ({ fingerprint, messages })),
    };
  }
}

/** One process's connection to a stream in memory. */
class InMemoryStreamClient implements LedgerStream {
  readonly redeliverMs: number;
  readonly maxPayloadBytes: number;
  #topic: StreamTopic | undefined;
  #isClosed = false;

  constructor(
    private readonly stream: InMemoryStream,
    private readonly clock: Clock,
  ) {
    this.redeliverMs = stream.redeliverMs;
    this.maxPayloadBytes = stream.maxPayloadBytes;
  }

  isFor({ ledger, headers }: LoggedMessage): boolean {
    return this.#topic?.ledger === ledger && this.#topic.reads?.(headers) === true;
  }

  async open(topic: StreamTopic): Promise<void> {
    if (this.#isClosed) this.#reopen();
    this.#check();
    this.#topic ??= topic;
  }

  /** For another ledger, after the one that had it closed it. */
  #reopen(): void {
    this.#isClosed = false;
    this.#topic = undefined;
    this.stream.enter(this);
  }

  async publish(message: OutgoingMessage, _timeoutMs: number): Promise<void> {
    const { ledger } = this.#open();
    if (message.bytes > this.maxPayloadBytes) {
      throw new SinkRowError(`a message may have ${this.maxPayloadBytes} bytes`);
    }
    this.stream.append(ledger, message);
  }

  async take(limits: TakeLimits, signal: AbortSignal): Promise<readonly StreamMessage[]> {
    const until = this.clock.monotonic() + limits.waitMs;
    for (;;) {
      this.#open();
      if (signal.aborted) return [];
      const taken = this.stream.takeReady(this, limits);
      const leftMs = until - this.clock.monotonic();
      if (taken.length > 0 || leftMs <= 0) return taken;
      await this.#change(
        Math.min(leftMs, this.stream.nextReadyAt - this.clock.monotonic()),
        signal,
      );
    }
  }

  /** Resolves at a change, after some time, or when the signal is aborted. */
  #change(ms: number, signal: AbortSignal): Promise<void> {
    return new Promise((resolve) => {
      const end = (): void => {
        timer.cancel();
        forget();
        signal.removeEventListener('abort', end);
        resolve();
      };
      const timer = this.clock.after(ms, end);
      const forget = this.stream.whenChanged(end);
      signal.addEventListener('abort', end);
    });
  }

  async backlog(_timeoutMs: number): Promise<StreamBacklog> {
    return this.stream.backlogOf(this.#open().ledger);
  }

  async *browse(): AsyncGenerator<StoredMessage, void> {
    yield* this.stream.stored(this.#open().ledger);
  }

  async ping(_timeoutMs: number): Promise<void> {
    this.#check();
  }

  async close(): Promise<void> {
    if (this.#isClosed) return;
    this.#isClosed = true;
    this.stream.leave(this);
    this.stream.wake();
  }

  #check(): void {
    if (this.#isClosed)
      throw new SinkTransientError('the stream is closed', { outcomeKnown: true });
    this.stream.check();
  }

  #open(): StreamTopic {
    this.#check();
    if (this.#topic === undefined) {
      throw new SinkTransientError('the stream is not open yet', { outcomeKnown: true });
    }
    return this.#topic;
  }
}
