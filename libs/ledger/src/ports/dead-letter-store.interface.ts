import type { DeadLetterReason } from '../errors/wait.errors.js';

/**
 * An entry that was refused for good, with everything needed to correct and replay it. @publicApi
 */
export interface DeadLetter {
  /** The entry's uuid; undefined for an invalid entry that has none. */
  readonly uuid: string | undefined;
  readonly reason: DeadLetterReason;
  /** SQLSTATE of the refusal, if the server refused it. */
  readonly sqlState: string | undefined;
  /** Constraint, column or field at fault, and the rule; never a value. */
  readonly detail: string;
  /** Number of attempts that included this entry. */
  readonly attempts: number;
  /** Milliseconds since 1970 when it was queued, and when it became a dead letter. */
  readonly queuedAt: number;
  readonly deadLetteredAt: number;
  /** The whole entry as plain JSON, fields as `record()` takes them. */
  readonly entry: Readonly<Record<string, unknown>>;
}

/**
 * Stores dead letters. Give one in code (`deadLetters: myStore`) instead of the table or a file.
 *
 * @publicApi
 */
export interface LedgerDeadLetterStore {
  /**
   * Stores all of them durably, or rejects. After a rejection the same letters may come again. A
   * call that takes longer than 5 seconds or `writeTimeoutMs` has failed; its dead letters, and all
   * others of the next minute, are stored in a file.
   */
  store(letters: readonly DeadLetter[]): Promise<void>;
}
