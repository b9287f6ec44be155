import type { Clock, Timer } from '../clock/clock.js';
import { DeadlineError } from '../clock/deadline.js';
import { realTimers } from '../clock/real-timers.js';
import type { DeadLetter, LedgerDeadLetterStore } from '../ports/dead-letter-store.interface.js';
import type { LedgerLogger } from '../ports/ledger-logger.interface.js';

/**
 * Maximum invalid entries that wait for the store, because a caller's bug in a loop must not fill
 * the memory. Further ones count as invalid too, but are not kept.
 */
const MAX_INVALID_WAITING = 1000;
/** Maximum letters in one call of the store. */
const LETTERS_AT_ONCE = 100;

/** Dependencies of a keeper. @internal */
export interface DeadLetterKeeperParts {
  readonly store: LedgerDeadLetterStore;
  readonly logger: LedgerLogger;
  readonly clock: Clock;
  /** Milliseconds after which a store without an answer counts as failed. */
  readonly timeoutMs: number;
}

/**
 * Passes dead letters to their store. The ledger waits for letters of refused entries. Letters of
 * invalid entries are kept in the background, because no caller waits for them.
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
   * Keeps letters; ends when they are durable or reported as lost. The wait for a silent store
   * happens once, for any number of letters. Never rejects.
   *
   * @returns the letters that were not kept
   */
  async keep(letters: readonly DeadLetter[]): Promise<ReadonlySet<DeadLetter>> {
    const lost = new Set<DeadLetter>();
    for (let i = 0; i < letters.length; i += LETTERS_AT_ONCE) {
      const error = await this.#tryStore(letters.slice(i, i + LETTERS_AT_ONCE));
      if (error === undefined) continue;
      // A store that does not answer now would not answer for the others either.
      const end = error instanceof DeadlineError ? letters.length : i + LETTERS_AT_ONCE;
      const failed = letters.slice(i, end);
      for (const letter of failed) lost.add(letter);
      this.#tellLost(failed, error);
      if (error instanceof DeadlineError) break;
    }
    return lost;
  }

  /**
   * Keeps a letter that has another copy until it is kept. @returns whether it was kept. Never
   * rejects.
   */
  async tryKeep(letter: DeadLetter): Promise<boolean> {
    return (await this.keep([letter])).size === 0;
  }

  /** @returns the store's error, or that it did not answer; undefined if the letters are kept */
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

  /** Keeps a letter in the background; call it only while `hasRoom`. */
  keepLater(letter: DeadLetter): void {
    this.#waiting.push(letter);
    this.#background ??= this.#keepWaiting();
  }

  async #keepWaiting(): Promise<void> {
    // Wait one turn, so that letters from one loop are stored together.
    await new Promise((resolve) => realTimers.setImmediate(resolve));
    while (this.#waiting.length > 0) await this.keep(this.#waiting.splice(0, LETTERS_AT_ONCE));
    this.#background = undefined;
  }

  /** Resolves when no letter is being kept in the background. Never rejects. */
  async settled(): Promise<void> {
    while (this.#background !== undefined) await this.#background;
  }
}
