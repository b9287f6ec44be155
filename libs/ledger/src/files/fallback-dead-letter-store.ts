import type { Clock } from '../clock/clock.js';
import { isLedgerError } from '../errors/is-ledger-error.js';
import type { DeadLetter, LedgerDeadLetterStore } from '../ports/dead-letter-store.interface.js';
import { Deadline, DeadlineError } from '../clock/deadline.js';

/** Dependencies of a store with a fallback. @internal */
export interface FallbackDeadLetterStoreParts {
  readonly first: LedgerDeadLetterStore;
  readonly second: LedgerDeadLetterStore;
  /** The first store's name in the log: `the table`. */
  readonly firstName: string;
  /**
   * Time limit in milliseconds of one call of the first store, which may be the application's own.
   */
  readonly timeoutMs: number;
  readonly clock: Pick<Clock, 'monotonic'>;
  /** Called when the first store begins to fail, and when it works again. */
  readonly onNotice: (text: string) => void;
}

/**
 * Milliseconds for which a store without an answer is not called, because a worker waits for each
 * answer.
 */
const REST_MS = 60_000;

/** Keeps dead letters in a second store when the first one fails. @internal */
export class FallbackDeadLetterStore implements LedgerDeadLetterStore {
  #hasFailed = false;
  /** Milliseconds of the monotonic clock. */
  #restsUntil = 0;

  constructor(private readonly parts: FallbackDeadLetterStoreParts) {}

  /** Rejects if both stores fail. */
  async store(letters: readonly DeadLetter[]): Promise<void> {
    const { first, second, timeoutMs } = this.parts;
    if (this.parts.clock.monotonic() < this.#restsUntil) return second.store(letters);
    try {
      await new Deadline(timeoutMs).race(first.store(letters));
    } catch (error) {
      if (error instanceof DeadlineError) this.#restsUntil = this.parts.clock.monotonic() + REST_MS;
      await second.store(letters);
      this.#note(true, error);
      return;
    }
    this.#note(false);
  }

  #note(hasFailed: boolean, error?: unknown): void {
    if (hasFailed === this.#hasFailed) return;
    this.#hasFailed = hasFailed;
    const { firstName, onNotice } = this.parts;
    onNotice(
      hasFailed
        ? `dead letters go to a file, since ${firstName} does not accept them: ${whyOf(error)}`
        : `dead letters go to ${firstName} again`,
    );
  }
}

/** Messages of other errors may contain values of the entry. */
function whyOf(error: unknown): string {
  if (isLedgerError(error) || error instanceof DeadlineError) return error.message;
  if (!(error instanceof Error)) return `a thrown ${typeof error}`;
  return (error as NodeJS.ErrnoException).code ?? error.name;
}
