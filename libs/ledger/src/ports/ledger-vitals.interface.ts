import type { LedgerStats } from './ledger-stats.interface.js';

/** The facts about a running ledger that health needs. They are read at each probe. @internal */
export interface LedgerVitals {
  /** A snapshot; its `reason` contains no secrets. */
  stats(): LedgerStats;
  /**
   * Resolves if the destination of batches answers, rejects if it does not; settles within
   * `timeoutMs` milliseconds. Never called while an earlier call is unsettled.
   */
  ping(timeoutMs: number): Promise<void>;
  /** Destination of batches; a gateway has no database. */
  readonly writesTo: 'database' | 'stream';
  /** Why a writer receives no messages from the stream; undefined: no fault, or no stream. */
  sourceTrouble(): string | undefined;
  /** A fault of the stream that a person must correct; undefined: none. */
  sourceNotice(): string | undefined;
  /** The last attempt at a batch failed transiently, and none has succeeded since. */
  isRetrying(): boolean;
  /** Rows are due or in flight, and no attempt ended within `writeTimeoutMs` and a grace. */
  isStuck(): boolean;
  /** Entries left at the drain deadline can't be written to `spillDir`. */
  isSpillUnavailable(): boolean;
  /** The table was reached and checked at least once in this run. */
  wasTableChecked(): boolean;
}
