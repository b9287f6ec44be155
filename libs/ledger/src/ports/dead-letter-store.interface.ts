import type { DeadLetterReason } from '../errors/wait.errors.js';

/** An entry that was refused for good, with all that is needed to mend and replay it. @publicApi */
export interface DeadLetter {
  /** The entry's uuid; undefined for an invalid entry that has none. */
  readonly uuid: string | undefined;
  readonly reason: DeadLetterReason;
  /** SQLSTATE of the refusal, if the server refused it. */
  readonly sqlState: string | undefined;
  /** Constraint, column or field at fault, and the rule; never a value. */
  readonly detail: string;
  /** Attempts that held this entry. */
  readonly attempts: number;
  /** Milliseconds since 1970 when it was queued, and when it was given up. */
  readonly queuedAt: number;
  readonly deadLetteredAt: number;
  /** The whole entry as plain JSON, fields as `record()` takes them. */
  readonly entry: Readonly<Record<string, unknown>>;
}

/**
 * Keeps dead letters. Give one in code (`deadLetters: myStore`) to have them elsewhere than in the
 * table or a file.
 *
 * @publicApi
 */
export interface LedgerDeadLetterStore {
  /**
   * Keeps all of them durably, or rejects; the same letter may come again after a rejection. One
   * that takes longer than 5 seconds or `writeTimeoutMs` has failed: then they are kept in a file,
   * and so are all others of the next minute.
   */
  store(letters: readonly DeadLetter[]): Promise<void>;
}
