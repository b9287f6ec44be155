/** Headers of a message: names and values in printable ASCII without line ends. @publicApi */
export type StreamHeaders = Readonly<Record<string, string>>;

/** A message to publish: rows of one batch, all of one layout. @publicApi */
export interface OutgoingMessage {
  /**
   * Fingerprint of the rows' layout, 16 hex digits. Messages with the same fingerprint are read by
   * the same writers.
   */
  readonly fingerprint: string;
  readonly headers: StreamHeaders;
  /**
   * Views whose bytes form the payload in order. Their memory is reused once `publish` has ended.
   */
  readonly payload: readonly Buffer[];
  /** Bytes of the payload. */
  readonly bytes: number;
}

/** A message that a writer has taken. It stays in the stream until `done`. @publicApi */
export interface StreamMessage {
  readonly headers: StreamHeaders;
  /** Memory that belongs to the message and never changes. */
  readonly payload: Buffer;
  /** Number of earlier deliveries, as far as the stream knows; 0 the first time. */
  readonly redeliveries: number;
  /**
   * All its rows are settled: it is not delivered again. Never throws; calling it again does
   * nothing.
   */
  done(): void;
  /**
   * Has it delivered again, to any writer, after this many milliseconds; 0: at once. Never throws;
   * does nothing after `done`.
   */
  later(ms: number): void;
  /** It is still being processed: restarts `redeliverMs`. Never throws. */
  alive(): void;
}

/** Limits of one `take`. @publicApi */
export interface TakeLimits {
  /** Maximum number of messages, at least 1. */
  readonly messages: number;
  /** Maximum bytes of all payloads together, unless the first message alone is larger. */
  readonly bytes: number;
  /**
   * Milliseconds to wait for the first message. Available messages are returned without waiting.
   */
  readonly waitMs: number;
}

/** The messages that a process publishes or takes. @publicApi */
export interface StreamTopic {
  /** Name of the ledger. */
  readonly ledger: string;
  /** Fingerprint of this process's layout. */
  readonly fingerprint: string;
  /**
   * Whether this process can read the rows of a message; undefined: it only publishes. An
   * unreadable message is never taken and waits for a newer writer. A stream that can't skip it
   * stops there, and names it in `backlog`.
   */
  readonly reads?: (headers: StreamHeaders) => boolean;
  /**
   * Columns that this process reads, as text. A stream that keeps no list of readers publishes it to other processes while
   * this one runs; other streams ignore it.
   */
  readonly columns?: string;
}

/** Waiting messages that no current writer can read. @publicApi */
export interface UnreadMessages {
  /** 16 hex digits, as in `OutgoingMessage`. */
  readonly fingerprint: string;
  readonly messages: number;
}

/** A message stored in a stream. @publicApi */
export interface StoredMessage {
  readonly headers: StreamHeaders;
  readonly payload: Buffer;
  /** Milliseconds since 1970 at its publication, by any clock; undefined: long ago. */
  readonly publishedAt?: number;
}

/** The contents of a stream. @publicApi */
export interface StreamBacklog {
  /** Unfinished messages, including those that a writer holds now. */
  readonly messages: number;
  readonly bytes: number;
  /** Age of the oldest of them in milliseconds; 0 if there is none. */
  readonly oldestAgeMs: number;
  /** Messages with a fingerprint that no writer takes. */
  readonly unread: readonly UnreadMessages[];
}

/** Durability of a message that a stream has acknowledged. @publicApi */
export interface StreamSafety {
  /** Number of servers that store it. */
  readonly copies: number;
  /** Least number of servers that have it by then; undefined: a majority of the copies. */
  readonly acknowledgedBy?: number;
  /** Number of copies that are up to date now; undefined: unknown to this client. */
  readonly inSync?: number;
  /** Whether a majority has synced it to disk by then; undefined: unknown to this client. */
  readonly syncs: boolean | undefined;
  /** Setting that makes servers sync before they acknowledge, and its place; undefined: none exists. */
  readonly syncSetting?: string;
  /** A known fault of this version of the servers by which they may lose messages even so. */
  readonly defect?: string;
  /** The engine's settings that decide durability, by its own names. */
  readonly settings?: Readonly<Record<string, string>>;
}

/**
 * A replicated log between gateways and writers. It delivers each message at least once; thanks to
 * its uuid, each row is stored once.
 *
 * Methods throw a sink's errors only: `SinkTransientError` for faults that pass (unreachable, slow,
 * full), `SinkHaltError` for faults that a person must correct (no such stream, no permission).
 *
 * @publicApi
 */
export interface LedgerStream {
  /**
   * Milliseconds after which a taken message is delivered again unless `alive` was called;
   * Infinity: only once its writer is gone.
   */
  readonly redeliverMs: number;
  /** Maximum bytes of one message's payload; known once `open` has resolved, and may change later. */
  readonly maxPayloadBytes: number;
  /**
   * Connects to the stream and creates the objects it needs there. Called before all other methods.
   * May be called again after a rejection; does nothing once it has resolved. After `close` it may
   * connect again, for another ledger; a stream that can't rejects.
   *
   * @param signal ends it early: the process stops
   * @throws SinkTransientError, SinkHaltError
   */
  open(topic: StreamTopic, signal?: AbortSignal): Promise<void>;
  /**
   * Resolves once the stream has stored the message with its full durability. After a rejection
   * with `outcomeKnown: false` the stream may have the message; it is published again, and the
   * writer recognizes the rows of the second copy.
   *
   * @throws SinkTransientError if it may be tried again; SinkHaltError if no message is taken
   * @throws SinkRowError if this message will always be refused, for example because it is too
   * large
   */
  publish(message: OutgoingMessage, timeoutMs: number): Promise<void>;
  /**
   * Takes the next messages, roughly in order. Returns none after `waitMs` without a message or
   * once the signal is aborted. One call at a time. Each message belongs to this process until
   * `done`, `later` or `redeliverMs`.
   *
   * @throws SinkTransientError, SinkHaltError
   */
  take(limits: TakeLimits, signal: AbortSignal): Promise<readonly StreamMessage[]>;
  /** Reports the waiting messages without taking them. @throws SinkTransientError, SinkHaltError */
  backlog(timeoutMs: number): Promise<StreamBacklog>;
  /**
   * Lists the unfinished messages, including those that a writer holds now; oldest first, within
   * each partition where a stream has several. Takes none of them. Messages that are finished or
   * published meanwhile may be missing. Optional: `verify --stream` needs it.
   *
   * @throws SinkTransientError, SinkHaltError while it is read
   */
  browse?(): AsyncIterable<StoredMessage>;
  /**
   * Durability of the stream's messages. Optional: `doctor --stream` shows it. @throws
   * SinkTransientError, SinkHaltError
   */
  safety?(timeoutMs: number): Promise<StreamSafety>;
  /** Resolves if the stream answers within the time limit. @throws SinkTransientError, SinkHaltError */
  ping(timeoutMs: number): Promise<void>;
  /**
   * Sends pending `done` and `later`, then closes the connection. Other taken messages are
   * delivered again. Never rejects. May be called again.
   *
   * @param timeoutMs milliseconds allowed for a graceful close
   */
  close(timeoutMs?: number): Promise<void>;
}
