import type { DeadLetter, LedgerDeadLetterStore } from './dead-letter-store.interface.js';

/** Keeps dead letters in a second store when the first one fails. @internal */
export class FallbackDeadLetterStore implements LedgerDeadLetterStore {
  #hasFailed = false;

  /**
   * @param onNotice told when the first store begins to fail, and when it works again
   */
  constructor(
    private readonly first: LedgerDeadLetterStore,
    private readonly second: LedgerDeadLetterStore,
    private readonly onNotice: (text: string) => void,
  ) {}

  /** Rejects if both stores fail. */
  async store(letters: readonly DeadLetter[]): Promise<void> {
    try {
      await this.first.store(letters);
    } catch (error) {
      await this.second.store(letters);
      this.#note(true, error);
      return;
    }
    this.#note(false);
  }

  #note(hasFailed: boolean, error?: unknown): void {
    if (hasFailed === this.#hasFailed) return;
    this.#hasFailed = hasFailed;
    const why = error instanceof Error ? `: ${error.message}` : '';
    this.onNotice(
      hasFailed
        ? `dead letters go to a file, since the table does not take them${why}`
        : 'dead letters go to the table again',
    );
  }
}
