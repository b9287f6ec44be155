import type { Clock, Timer } from '../clock/clock.js';
import type { LedgerLogger } from '../ports/ledger-logger.interface.js';
import type { LedgerStream, UnreadMessages } from '../ports/ledger-stream.interface.js';

/** Milliseconds between two looks: an upgrade takes minutes, and a look asks each server of the cluster. */
const LOOK_MS = 30_000;
/** Time limit of one look. */
const ANSWER_MS = 5_000;

/**
 * Looks now and then for messages that no writer reads, since their layout is newer than every writer's: nothing
 * else shows that they wait.
 *
 * @internal
 */
export class UnreadWatch {
  readonly #told = new Set<string>();
  #unread: readonly UnreadMessages[] = [];
  #timer: Timer | undefined;
  #isStopped = false;

  constructor(
    private readonly stream: LedgerStream,
    private readonly clock: Clock,
    private readonly logger: LedgerLogger,
  ) {}

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

  /** Never rejects: a stream that is away is told by what takes from it. */
  async #look(): Promise<void> {
    try {
      const { unread } = await this.stream.backlog(ANSWER_MS);
      this.#unread = unread;
    } catch {
      return;
    }
    const isNew = this.#unread.some(({ fingerprint }) => !this.#told.has(fingerprint));
    for (const { fingerprint } of this.#unread) this.#told.add(fingerprint);
    if (isNew && this.notice !== undefined) this.logger.warn(`WARNING: ${this.notice}`);
  }
}
