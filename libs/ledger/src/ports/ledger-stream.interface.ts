/** Names and values of a message beside its payload; printable ASCII without line ends. @publicApi */
export type StreamHeaders = Readonly<Record<string, string>>;

/** A message on its way into the stream: rows of one batch, all of one layout. @publicApi */
export interface OutgoingMessage {
  /**
   * Names this content: two messages with one id have the same rows in the same order. A stream may drop a
   * message whose id it has already, and answers as if it had taken it.
   */
  readonly id: string;
  /** Of the layout of the rows, 16 hex digits. Messages of one fingerprint are read by the same writers. */
  readonly fingerprint: string;
  readonly headers: StreamHeaders;
  /** Views whose bytes follow each other. Their memory is used again once `publish` has ended. */
  readonly payload: readonly Buffer[];
  /** Bytes of the payload. */
  readonly bytes: number;
}

/** A message that a writer took. It stays in the stream until `done`. @publicApi */
export interface StreamMessage {
  readonly headers: StreamHeaders;
  /** Memory of its own, which nobody changes. */
  readonly payload: Buffer;
  /** How often it was delivered before, as far as the stream knows; 0 the first time. */
  readonly redeliveries: number;
  /** All its rows have their final fate: it is not delivered again. Never throws; calling it again does nothing. */
  done(): void;
  /**
   * It is to be delivered again, to any writer, after this many milliseconds; 0: at once. Never throws;
   * does nothing after `done`.
   */
  later(ms: number): void;
  /** It is still worked on: `redeliverMs` begins again. Never throws. */
  alive(): void;
}

/** How much one `take` asks for. @publicApi */
export interface TakeLimits {
  /** Messages, at least 1. */
  readonly messages: number;
  /** Bytes of all payloads together, unless the first message alone has more. */
  readonly bytes: number;
  /** Milliseconds to wait for the first message. Those that are there are answered without a wait. */
  readonly waitMs: number;
}

/** Which messages a process publishes or takes. @publicApi */
export interface StreamTopic {
  /** Name of the ledger. */
  readonly ledger: string;
  /** Of the layout that this process has. */
  readonly fingerprint: string;
  /**
   * Whether this process can read the rows of a message; undefined: it only publishes. A message that it can't
   * read is never taken: it waits for a newer writer. A stream that can't pass it over stops there, and
   * names it in `backlog`.
   */
  readonly reads?: (headers: StreamHeaders) => boolean;
}

/** Messages that wait and that no writer at this moment can read. @publicApi */
export interface UnreadMessages {
  /** 16 hex digits, as `OutgoingMessage` has it. */
  readonly fingerprint: string;
  readonly messages: number;
}

/** A message as it is in a stream. @publicApi */
export interface StoredMessage {
  readonly headers: StreamHeaders;
  readonly payload: Buffer;
}

/** What is in a stream. @publicApi */
export interface StreamBacklog {
  /** Messages that no writer is done with, those that one has now included. */
  readonly messages: number;
  readonly bytes: number;
  /** Age of the oldest of them in milliseconds; 0 if there is none. */
  readonly oldestAgeMs: number;
  /** Those with a fingerprint that nobody takes. */
  readonly unread: readonly UnreadMessages[];
}

/** How safe a message is that a stream has acknowledged. @publicApi */
export interface StreamSafety {
  /** Servers that keep it. */
  readonly copies: number;
  /** Whether most of them have synced it to disk by then; undefined: it can't be read from here. */
  readonly syncs: boolean | undefined;
}

/**
 * A replicated log between gateways and writers. It delivers each message at least once; the uuids of the
 * rows make that once in the table.
 *
 * Errors are a sink's: `SinkTransientError` to try again (away, slow, full), `SinkHaltError` for what only a
 * person can change (no such stream, no permission). Only one of them leaves a method.
 *
 * @publicApi
 */
export interface LedgerStream {
  /**
   * Milliseconds after which a message that was taken is delivered again unless it was `alive` since;
   * Infinity: only once its writer is gone.
   */
  readonly redeliverMs: number;
  /** Bytes that the payload of one message may have at most; known once `open` has resolved. */
  readonly maxPayloadBytes: number;
  /**
   * Reaches the stream and makes what it needs there. Called before all others; may be called again after it
   * rejected, and does nothing after it resolved.
   *
   * @param signal ends it early: the process stops
   * @throws SinkTransientError, SinkHaltError
   */
  open(topic: StreamTopic, signal?: AbortSignal): Promise<void>;
  /**
   * Resolves once the stream has the message as safe as it makes messages. After a rejection with
   * `outcomeKnown: false` it may have it; the same message is published again under the same id.
   *
   * @throws SinkTransientError if it may be tried again; SinkHaltError if no message is taken
   * @throws SinkRowError if this message is refused whatever the number of tries, as one that is too large
   */
  publish(message: OutgoingMessage, timeoutMs: number): Promise<void>;
  /**
   * The next messages, in about their order; none after `waitMs` without one, or once the signal is
   * aborted. One call at a time. Each message is with this process until `done`, `later` or `redeliverMs`.
   *
   * @throws SinkTransientError, SinkHaltError
   */
  take(limits: TakeLimits, signal: AbortSignal): Promise<readonly StreamMessage[]>;
  /** What waits in the stream; takes nothing out. @throws SinkTransientError, SinkHaltError */
  backlog(timeoutMs: number): Promise<StreamBacklog>;
  /**
   * The messages that no writer is done with, oldest first, those that one has now included; takes none of
   * them. Those that are done or published meanwhile may be left out. Optional: `verify --stream` needs it.
   *
   * @throws SinkTransientError, SinkHaltError while it is read
   */
  browse?(): AsyncIterable<StoredMessage>;
  /** How safe its messages are. Optional: `doctor --stream` shows it. @throws SinkTransientError, SinkHaltError */
  safety?(timeoutMs: number): Promise<StreamSafety>;
  /** Resolves if the stream answers within the time limit. @throws SinkTransientError, SinkHaltError */
  ping(timeoutMs: number): Promise<void>;
  /**
   * Ends the connection after what `done` and `later` said has left; messages without either are delivered
   * again. Never rejects. May be called again.
   *
   * @param timeoutMs milliseconds that it may take to do so politely
   */
  close(timeoutMs?: number): Promise<void>;
}
