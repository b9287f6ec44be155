import type { Clock, Timer } from '../clock/clock.js';
import { isLedgerError } from '../errors/is-ledger-error.js';
import type { LedgerLogger } from '../ports/ledger-logger.interface.js';
import type {
  LedgerStream,
  StreamBacklog,
  UnreadMessages,
} from '../ports/ledger-stream.interface.js';

/**
 * Milliseconds between two looks. Each process looks, and a look asks the stream's leader twice.
 */
const LOOK_MS = 10_000;
/** Time limit of one look. */
const ANSWER_MS = 5_000;

/** The result of a look. @internal */
export interface SeenBacklog extends StreamBacklog {
  /** Milliseconds since 1970. */
  readonly at: number;
}

/** Dependencies of a watch. @internal */
export interface StreamWatchParts {
  readonly stream: LedgerStream;
  readonly clock: Clock;
  readonly logger: LedgerLogger;
  /** Whether it reports messages that no writer reads. Writers do. */
  readonly reportsUnread: boolean;
}

/**
 * Looks periodically at the messages waiting in the stream. Messages that no writer reads, because
 * their layout is newer than every writer's, are reported once: nothing else shows that they wait.
 * A look that only a person can make possible again, such as a missing permission, is also reported once.
 *
 * @internal
 */
export class StreamWatch {
  readonly #parts: StreamWatchParts;
  readonly #told = new Set<string>();
  /** Reason why looking is refused, as reported. */
  #refusal: string | undefined;
  #seen: SeenBacklog | undefined;
  #unread: readonly UnreadMessages[] = [];
  #timer: Timer | undefined;
  #isStopped = false;

  constructor(parts: StreamWatchParts) {
    this.#parts = parts;
  }

  /** The waiting messages; undefined before the first look, and after a failed one. */
  get seen(): SeenBacklog | undefined {
    return this.#seen;
  }

  /** Messages that wait for a newer writer; undefined if there are none. */
  get notice(): string | undefined {
    if (this.#unread.length === 0) return undefined;
    const messages = this.#unread.reduce((sum, each) => sum + each.messages, 0);
    const layouts = this.#unread.map(({ fingerprint }) => fingerprint).join(', ');
    return `messages wait in the stream for a writer that has their columns: ${messages} (layout ${layouts})`;
  }

  /** Looks at once, and periodically until stopped; starting again has no effect. */
  start(): void {
    if (this.#isStopped || this.#timer !== undefined) return;
    this.#timer = this.#parts.clock.after(LOOK_MS, () => void this.#lookAgain());
    void this.#look();
  }

  stop(): void {
    this.#isStopped = true;
    this.#timer?.cancel();
  }

  async #lookAgain(): Promise<void> {
    await this.#look();
    if (this.#isStopped) return;
    this.#timer = this.#parts.clock.after(LOOK_MS, () => void this.#lookAgain());
  }

  /** Never rejects: publishing and taking report an unreachable stream. */
  async #look(): Promise<void> {
    const { stream, clock, logger, reportsUnread } = this.#parts;
    try {
      const backlog = await stream.backlog(ANSWER_MS);
      this.#seen = { ...backlog, at: clock.now() };
      this.#unread = backlog.unread;
      this.#refusal = undefined;
    } catch (error) {
      this.#seen = undefined;
      this.#noteRefusal(error);
      return;
    }
    const isNew = this.#unread.some(({ fingerprint }) => !this.#told.has(fingerprint));
    for (const { fingerprint } of this.#unread) this.#told.add(fingerprint);
    const { notice } = this;
    if (isNew && reportsUnread && notice !== undefined) logger.warn(`WARNING: ${notice}`);
  }

  #noteRefusal(error: unknown): void {
    if (this.#isStopped || !isLedgerError(error, 'SINK_HALT')) return;
    const { message } = error;
    if (message === this.#refusal) return;
    this.#refusal = message;
    this.#parts.logger.warn(`WARNING: the waiting messages are not known: ${message}`);
  }
}
