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
  /** Accepted entries are in a journal; a stand-in of a test has none. */
  readonly isJournaled?: boolean;
  /** It publishes, and never hears of a commit; default: false. */
  readonly isGateway?: boolean;
  /** Where calls under way are listed, for the stop; a stand-in of a test may have none. */
  readonly openCalls?: OpenCallList;
  /** Waits for nothing. Throws only under `onInvalid: 'throw'`. */
  record(entry: Entry): unknown;
  /** As `record`, for 0 or more entries in order. */
  recordMany(entries: readonly Entry[]): unknown;
  /**
   * Settles when the entry has room (`queued`), is durable or has its commit (`committed`), or rejects after the
   * ledger's `blockTimeoutMs` or `commitTimeoutMs`, which holds unless `timeoutMs` is given.
   */
  recordAndWait(
    entry: Entry,
    options: { until: 'queued' | 'durable' | 'committed'; timeoutMs?: number },
  ): Promise<unknown>;
  /**
   * Settles when all that was recorded so far is in the journal, or the journal can't be written, or
   * `blockTimeoutMs` is over; never rejects. Undefined if there is nothing to wait for. Called only if
   * `isJournaled`.
   */
  untilDurable?(): Promise<void> | undefined;
  /** Counts a mapper that threw or returned a promise (`mapperErrors`); never throws. */
  countMapperError(error: unknown): void;
}
