import type { OpenCallList } from './open-call.interface.js';

/**
 * What the interceptor needs of a ledger; `LedgerService` is one. Entries are the mapper's, so they
 * are unchecked here: the ledger refuses what breaks a rule.
 *
 * @internal
 */
export interface UsageRecorder<Entry = unknown> {
  /** What the ledger does with an interceptor's entry when its channel is full. */
  readonly overflow: 'drop' | 'block';
  /** Where calls under way are listed, for the stop; a stand-in of a test may have none. */
  readonly openCalls?: OpenCallList;
  /** Waits for nothing. Throws only under `onInvalid: 'throw'`. */
  record(entry: Entry): unknown;
  /** As `record`, for 0 or more entries in order. */
  recordMany(entries: readonly Entry[]): unknown;
  /**
   * Settles when the entry has room (`queued`) or its commit (`committed`), or rejects after the
   * ledger's `blockTimeoutMs` or `commitTimeoutMs`, which holds unless `timeoutMs` is given.
   */
  recordAndWait(
    entry: Entry,
    options: { until: 'queued' | 'committed'; timeoutMs?: number },
  ): Promise<unknown>;
  /** Counts a mapper that threw or returned a promise (`mapperErrors`); never throws. */
  countMapperError(error: unknown): void;
}
