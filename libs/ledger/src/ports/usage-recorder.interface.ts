import type { OpenCallList } from './open-call.interface.js';

/**
 * The interceptor's port to a ledger; `LedgerService` implements it. Entries come from the mapper
 * unchecked, and the ledger refuses invalid ones.
 *
 * @internal
 */
export interface UsageRecorder<Entry = unknown> {
  /** How an interceptor's entry is treated when the channel is full. */
  readonly overflow: 'drop' | 'block';
  /** True: accepted entries are in a journal. Test doubles have none. */
  readonly isJournaled?: boolean;
  /** True: a gateway, which publishes and cannot wait for a commit. Default: false. */
  readonly isGateway?: boolean;
  /** List of open calls for the shutdown; test doubles may have none. */
  readonly openCalls?: OpenCallList;
  /** Waits for nothing. Throws only under `onInvalid: 'throw'`. */
  record(entry: Entry): unknown;
  /** Like `record`, for 0 or more entries in order. */
  recordMany(entries: readonly Entry[]): unknown;
  /**
   * Resolves when the entry is queued, durable or committed. Rejects after `timeoutMs`; default:
   * the ledger's `blockTimeoutMs` or `commitTimeoutMs`.
   */
  recordAndWait(
    entry: Entry,
    options: { until: 'queued' | 'durable' | 'committed'; timeoutMs?: number },
  ): Promise<unknown>;
  /**
   * Resolves when all entries recorded so far are in the journal, when the journal can't be
   * written, or after `blockTimeoutMs`; never rejects. Undefined if there is nothing to wait for.
   * Called only if `isJournaled`.
   */
  untilDurable?(): Promise<void> | undefined;
  /** Counts a mapper that threw or returned a promise (`mapperErrors`); never throws. */
  countMapperError(error: unknown): void;
}
