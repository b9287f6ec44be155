import type { LedgerStats } from './ledger-stats.interface.js';

/** What health needs to know of a running ledger. The facts are read at each probe. @internal */
export interface LedgerVitals {
  /** A snapshot; its `reason` holds no secrets. */
  stats(): LedgerStats;
  /**
   * Resolves if what batches go to answers, rejects if it doesn't; settles after `timeoutMs` milliseconds
   * at the latest. Never called while an earlier call is unsettled.
   */
  ping(timeoutMs: number): Promise<void>;
  /** Where batches go: a gateway knows no database. */
  readonly writesTo: 'database' | 'stream';
  /** Why a writer gets nothing from the stream; undefined: it does, or there is none. */
  sourceTrouble(): string | undefined;
  /** What of the stream needs a person; undefined: nothing does. */
  sourceNotice(): string | undefined;
  /** The last attempt at a batch failed transiently, and none succeeded since. */
  isRetrying(): boolean;
  /** Rows are due or in flight, and no attempt ended within `writeTimeoutMs` and a grace. */
  isStuck(): boolean;
  /** What is left at the drain deadline can't be written to `spillDir`. */
  isSpillUnavailable(): boolean;
  /** The table was reached and checked at least once in this run. */
  wasTableChecked(): boolean;
}
