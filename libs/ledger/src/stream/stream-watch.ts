import type { Clock, Timer } from '../clock/clock.js';
import type { LedgerLogger } from '../ports/ledger-logger.interface.js';
import type {
  LedgerStream,
  StreamBacklog,
  UnreadMessages,
} from '../ports/ledger-stream.interface.js';

/** Milliseconds between two looks. A look asks the stream's leader twice, and each process looks. */
const LOOK_MS = 10_000;
/** Time limit of one look. */
const ANSWER_MS = 5_000;

/** What a look found. @internal */
export interface SeenBacklog extends StreamBacklog {
  /** Milliseconds since 1970. */
  readonly at: number;
}

/**
 * Looks now and then at what waits in the stream. Messages that no writer reads, since their layout is newer
 * than every writer's, are reported once: nothing else shows that they wait.
 *
 * @internal
 */
export class StreamWatch {
  readonly #told = new Set<string>();
  #seen: SeenBacklog | undefined;
  #unread: readonly UnreadMessages[] = [];
  #timer: Timer | undefined;
  #isStopped = false;

  constructor(
    private readonly stream: LedgerStream,
    private readonly clock: Clock,
    /** Undefined: what waits is not reported, since the writers do. */
    private readonly logger: LedgerLogger | undefined,
  ) {}

  /** What waits; undefined before the first look, and behind one that failed. */
  get seen(): SeenBacklog | undefined {
    return this.#seen;
  }

  /** What waits for a writer that does not run yet; undefined: nothing does. */
  get notice(): string | undefined {
    if (this.#unread.length === 0) return undefined;
    const messages = this.#unread.reduce((sum, each) => sum + each.messages, 0);
    const layouts = this.#unread.map(({ fingerprint }) => fingerprint).join(', ');
    return `messages wait in the stream for a writer that has their columns: ${messages} (layout ${layouts})`;
  }

  /** Looks at once, and again until it is stopped; starting again does nothing. */
  start(): void {
    if (this.#isStopped || this.#timer !== undefined) return;
    this.#timer = this.clock.after(LOOK_MS, () => void this.#lookAgain());
    void this.#look();
  }

  stop(): void {
    this.#isStopped = true;
    this.#timer?.cancel();
  }

  async #lookAgain(): Promise<void> {
    await this.#look();
    if (!this.#isStopped) this.#timer = this.clock.after(LOOK_MS, () => void this.#lookAgain());
  }

  /** Never rejects: what publishes or takes reports a stream that is away. */
  async #look(): Promise<void> {
    try {
      const backlog = await this.stream.backlog(ANSWER_MS);
      this.#seen = { ...backlog, at: this.clock.now() };
      this.#unread = backlog.unread;
    } catch {
      this.#seen = undefined;
      return;
    }
    const isNew = this.#unread.some(({ fingerprint }) => !this.#told.has(fingerprint));
    for (const { fingerprint } of this.#unread) this.#told.add(fingerprint);
    if (isNew && this.notice !== undefined) this.logger?.warn(`WARNING: ${this.notice}`);
  }
}
