import type { Clock, Timer } from '../clock/clock.js';
import { DeadlineError } from '../clock/deadline.js';
import { realTimers } from '../clock/real-timers.js';
import type { DeadLetter, LedgerDeadLetterStore } from '../ports/dead-letter-store.interface.js';
import type { LedgerLogger } from '../ports/ledger-logger.interface.js';

/**
 * Invalid entries that wait to be kept, at most: a caller with a bug in a loop must not fill the
 * memory. Those above it are counted as invalid like the others, and only not kept.
 */
const MAX_INVALID_WAITING = 1000;
/** Letters handed to the store at once. */
const LETTERS_AT_ONCE = 100;

/** What a keeper is made of. @internal */
export interface DeadLetterKeeperParts {
  readonly store: LedgerDeadLetterStore;
  readonly logger: LedgerLogger;
  readonly clock: Clock;
  /** Milliseconds after which a store that has not answered has failed. */
  readonly timeoutMs: number;
}

/**
 * Hands dead letters to their store. Letters of refused entries are waited for; those of invalid
 * entries are kept in the background, since their caller waits for nothing.
 *
 * @internal
 */
export class DeadLetterKeeper {
  readonly #parts: DeadLetterKeeperParts;
  readonly #waiting: DeadLetter[] = [];
  #background: Promise<void> | undefined;

  constructor(parts: DeadLetterKeeperParts) {
    this.#parts = parts;
  }

  /**
   * Keeps letters; ends when they are durable, or reported as lost. A store that does not answer is waited
   * for once, however many letters there are. Never rejects.
   *
   * @returns the letters that are kept nowhere
   */
  async keep(letters: readonly DeadLetter[]): Promise<ReadonlySet<DeadLetter>> {
    const lost = new Set<DeadLetter>();
    for (let i = 0; i < letters.length; i += LETTERS_AT_ONCE) {
      const error = await this.#tryStore(letters.slice(i, i + LETTERS_AT_ONCE));
      if (error === undefined) continue;
      // A store that is silent now would be silent for each of the others as well.
      const end = error instanceof DeadlineError ? letters.length : i + LETTERS_AT_ONCE;
      const failed = letters.slice(i, end);
      for (const letter of failed) lost.add(letter);
      this.#tellLost(failed, error);
      if (error instanceof DeadlineError) break;
    }
    return lost;
  }

  /** Keeps a letter that another place has as long as it is not kept. @returns whether it is. Never rejects. */
  async tryKeep(letter: DeadLetter): Promise<boolean> {
    return (await this.keep([letter])).size === 0;
  }

  /** @returns what the store rejected with, or that it did not answer; undefined: the letters are kept */
  async #tryStore(letters: readonly DeadLetter[]): Promise<unknown> {
    const { store, clock, timeoutMs } = this.#parts;
    let timer: Timer | undefined;
    const silence = new Promise<unknown>((resolve) => {
      timer = clock.after(timeoutMs, () => resolve(new DeadlineError(timeoutMs)));
    });
    const stored = (async () => store.store(letters))().then(
      () => undefined,
      (error: unknown) => error ?? new Error('unknown'),
    );
    try {
      return await Promise.race([stored, silence]);
    } finally {
      timer?.cancel();
    }
  }

  #tellLost(letters: readonly DeadLetter[], error: unknown): void {
    const uuids = letters.map((letter) => letter.uuid ?? 'no uuid').join(' ');
    const why = error instanceof Error ? error.name : 'unknown';
    this.#parts.logger.error(
      `${letters.length} dead letters could not be kept anywhere (${why}): ${uuids}`,
    );
  }

  /** Whether `keepLater` has room for another letter. */
  get hasRoom(): boolean {
    return this.#waiting.length < MAX_INVALID_WAITING;
  }

  /** Keeps a letter in the background; only to be called while there is room. */
  keepLater(letter: DeadLetter): void {
    this.#waiting.push(letter);
    this.#background ??= this.#keepWaiting();
  }

  async #keepWaiting(): Promise<void> {
    // One turn, so that letters of one loop go together.
    await new Promise((resolve) => realTimers.setImmediate(resolve));
    while (this.#waiting.length > 0) await this.keep(this.#waiting.splice(0, LETTERS_AT_ONCE));
    this.#background = undefined;
  }

  /** Resolves when nothing is kept in the background any more. Never rejects. */
  async settled(): Promise<void> {
    while (this.#background !== undefined) await this.#background;
  }
}
