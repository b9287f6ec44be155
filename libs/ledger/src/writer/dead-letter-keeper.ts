import type { DeadLetter, LedgerDeadLetterStore } from '../ports/dead-letter-store.interface.js';
import type { LedgerLogger } from '../ports/ledger-logger.interface.js';
import { realTimers } from '../clock/real-timers.js';

/**
 * Invalid entries that wait to be kept, at most: a caller with a bug in a loop must not fill the
 * memory. Those above it are counted as invalid like the others, and only not kept.
 */
const MAX_INVALID_WAITING = 1000;
/** Letters handed to the store at once. */
const LETTERS_AT_ONCE = 100;

/**
 * Hands dead letters to their store. Letters of refused entries are waited for; those of invalid
 * entries are kept in the background, since their caller waits for nothing.
 *
 * @internal
 */
export class DeadLetterKeeper {
  readonly #store: LedgerDeadLetterStore;
  readonly #logger: LedgerLogger;
  readonly #waiting: DeadLetter[] = [];
  #background: Promise<void> | undefined;

  constructor(store: LedgerDeadLetterStore, logger: LedgerLogger) {
    this.#store = store;
    this.#logger = logger;
  }

  /** Keeps letters; resolves when they are durable or were told to be lost. Never rejects. */
  async keep(letters: readonly DeadLetter[]): Promise<void> {
    for (let i = 0; i < letters.length; i += LETTERS_AT_ONCE) {
      await this.#tryStore(letters.slice(i, i + LETTERS_AT_ONCE));
    }
  }

  async #tryStore(letters: readonly DeadLetter[]): Promise<void> {
    try {
      await this.#store.store(letters);
    } catch (error) {
      const uuids = letters.map((letter) => letter.uuid ?? 'no uuid').join(' ');
      const why = error instanceof Error ? error.name : 'unknown';
      this.#logger.error(
        `${letters.length} dead letters could not be kept anywhere (${why}): ${uuids}`,
      );
    }
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
    while (this.#waiting.length > 0) {
      await this.#tryStore(this.#waiting.splice(0, LETTERS_AT_ONCE));
    }
    this.#background = undefined;
  }

  /** Resolves when nothing is kept in the background any more. Never rejects. */
  async settled(): Promise<void> {
    while (this.#background !== undefined) await this.#background;
  }
}
