import type { AdviceEnvironment } from './advice/finding.interface.js';
import type { RecordOutcome } from './channel/intake.js';
import type { OpenCalls } from './channel/open-calls.js';
import { checkTimeout, type WaitOptions, type WaitResult } from './channel/awaited-intake.js';
import type { Ledger } from './assemble-ledger.js';
import type { defaultLedger, LedgerDefinition } from './define-ledger.js';
import type { LedgerTable } from './entry/ledger-definition.js';
import type { NoUnknownFields, StoredEntry, UsageEntry } from './entry/usage-entry.interface.js';
import { LedgerEntryInvalidError } from './errors/ledger-entry-invalid.error.js';
import { LedgerReadError } from './errors/ledger-read.error.js';
import { LedgerWaitTimeoutError } from './errors/wait.errors.js';
import { isLedgerError } from './errors/is-ledger-error.js';
import type { UsageRecorder } from './ports/usage-recorder.interface.js';
import { OnePerNest } from './nest/one-per-nest.js';
import type {
  RecentPage,
  RecentQuery,
  SummaryQuery,
  UsageSummary,
} from './ports/read-query.interface.js';
import type { ReportGroup, ReportQuery, ReportRowOf } from './ports/report-query.interface.js';
import { parseReverseOptions } from './reading/parse-reverse-options.js';
import { reversalOf, reversalUuid, type ReverseOptions } from './reading/reverse-entry.js';
import type { UsageReading } from './ports/usage-reading.interface.js';
import type { LedgerStats } from './ports/ledger-stats.interface.js';
import type { FlushListener } from './writer/batch-writer.js';

/** Number of entries of a `recordMany` call by outcome. @publicApi */
export type RecordManyResult = Readonly<Record<RecordOutcome, number>>;

/**
 * Entries settled while a flush ran, possibly including entries accepted after the call. @publicApi
 */
export interface FlushReport {
  /** On a gateway: published to the stream. */
  readonly written: number;
  readonly duplicate: number;
  readonly deadLettered: number;
  /** Duration in milliseconds. */
  readonly ms: number;
}

/**
 * Takes usage entries and reads them back. Inject it by class for the default ledger, by
 * `@InjectLedger(definition)` for another.
 *
 * @publicApi
 */
@OnePerNest('LedgerService')
export class LedgerService<
  T extends LedgerDefinition = typeof defaultLedger,
> implements UsageRecorder {
  readonly #ledger: Ledger;
  readonly #reader: UsageReading<T>;

  /** @internal */
  constructor(ledger: Ledger, reader: UsageReading<T>) {
    this.#ledger = ledger;
    this.#reader = reader;
  }

  /** Name of the ledger in its definition. */
  get name(): string {
    return this.#ledger.name;
  }

  /** What the interceptor does when the channel is full. */
  get overflow(): 'drop' | 'block' {
    return this.#ledger.options.overflow === 'block' ? 'block' : 'drop';
  }

  /** @internal */
  get isJournaled(): boolean {
    return this.#ledger.journal !== undefined;
  }

  /** @internal */
  get isGateway(): boolean {
    return this.#ledger.options.role === 'gateway';
  }

  /** See `UsageRecorder`. @internal */
  untilDurable(): Promise<void> | undefined {
    return this.#ledger.handoff.untilDurable(this.#ledger.options.blockTimeoutMs);
  }

  /** Open calls; the shutdown waits for them. @internal */
  get openCalls(): OpenCalls {
    return this.#ledger.openCalls;
  }

  /**
   * Makes the shutdown of the application wait for work that will record entries, until the promise
   * settles or `shutdownTimeoutMs` is over. For queues, timers and loops that `@RecordUsage` does
   * not cover.
   *
   * @returns a promise that settles like the given one; use it instead of the given one
   * @example
   * ```ts
   * await this.ledger.track(this.summarize(document));
   * ```
   */
  track<Value>(promise: PromiseLike<Value>): Promise<Value> {
    return this.#ledger.openCalls.track(promise);
  }

  /**
   * Records an entry. Synchronous, takes about a microsecond, and never throws unless `onInvalid`
   * is `throw`. No network I/O; with a journal at most one file write. A full channel drops the new
   * entry.
   *
   * @throws LedgerEntryInvalidError only if `onInvalid` is `throw`
   */
  record<E extends UsageEntry<T>>(entry: E & NoUnknownFields<T, E>): RecordOutcome {
    const outcome = this.#ledger.intake.offer(entry);
    if (outcome === 'invalid') this.#throwInvalid();
    return outcome;
  }

  /**
   * Records entries like `record`, in order, as many as fit.
   *
   * @throws LedgerEntryInvalidError only if `onInvalid` is `throw`; all entries were offered then
   */
  recordMany<E extends UsageEntry<T>>(
    entries: readonly (E & NoUnknownFields<T, E>)[],
  ): RecordManyResult {
    const outcomes = this.#ledger.intake.offerMany(entries);
    if (outcomes.invalid > 0) this.#throwInvalid();
    return outcomes;
  }

  #throwInvalid(): void {
    const { intake, options } = this.#ledger;
    if (options.onInvalid !== 'throw' || intake.lastFault === undefined) return;
    throw new LedgerEntryInvalidError(intake.lastFault.field, intake.lastFault.rule);
  }

  /**
   * Records an entry and waits for its commit (default), for room (`until: 'queued'`), or for the
   * journal or the stream (`until: 'durable'`, the default of a gateway). A time-out ends only the
   * wait; a queued entry may still be written.
   *
   * @throws LedgerWaitTimeoutError `outcome` says whether the entry may yet be written
   * @throws LedgerEntryInvalidError, LedgerSealedError, LedgerDeadLetteredError,
   * LedgerSpilledError; or the reason of `signal`; TypeError for an option that makes no sense
   */
  recordAndWait<E extends UsageEntry<T>>(
    entry: E & NoUnknownFields<T, E>,
    options: WaitOptions = {},
  ): Promise<WaitResult> {
    return this.#ledger.awaited.record(entry, options);
  }

  /**
   * Writes the entries accepted before the call, and waits until they are settled. New entries are
   * still accepted.
   *
   * @param options `timeoutMs` is `commitTimeoutMs` by default
   * @throws LedgerWaitTimeoutError if it takes longer; the entries stay where they are
   */
  async flush(options: { readonly timeoutMs?: number } = {}): Promise<FlushReport> {
    checkTimeout('flush', options.timeoutMs);
    const { writer, clock, counters } = this.#ledger;
    const { written, published, duplicate, deadLettered } = counters;
    const startedAt = clock.monotonic();
    const isSettled = await writer.flush(options.timeoutMs ?? this.#ledger.options.commitTimeoutMs);
    const ms = Math.round(clock.monotonic() - startedAt);
    if (!isSettled) throw new LedgerWaitTimeoutError('queued', ms);
    return {
      written: counters.written + counters.published - written - published,
      duplicate: counters.duplicate - duplicate,
      deadLettered: counters.deadLettered - deadLettered,
      ms,
    };
  }

  /** Known facts about machine and server, for `adviseLedger`; runs no query. */
  surroundings(): AdviceEnvironment {
    return this.#ledger.surroundings.read();
  }

  /** An immutable snapshot of counters, channel, workers, settings and state. */
  stats(): LedgerStats {
    return this.#ledger.stats();
  }

  /**
   * Calls a listener for each committed write from now on, for histograms: once per batch, however
   * many entries it has. Exceptions of the listener are caught and counted.
   *
   * @returns a function that removes the listener; a second call does nothing
   */
  onFlush(listener: FlushListener): () => void {
    return this.#ledger.writer.onFlush(listener);
  }

  /**
   * Sums of consumed and supplied tokens over the half-open period `[from, to)`.
   *
   * @throws LedgerReadError for an argument that makes no sense, or a sum above 2^53 - 1;
   * LedgerWaitTimeoutError if `fresh` and the flush takes longer than `commitTimeoutMs`
   */
  async summary(query: SummaryQuery<T> = {}): Promise<UsageSummary> {
    if (wantsFresh(query)) await this.flush();
    return this.#reader.summary(query);
  }

  /**
   * Entries of one user, newest first; `cursor` continues after the previous page.
   *
   * @throws LedgerReadError for an argument that makes no sense; as `summary` if `fresh`
   */
  async listRecent(query: RecentQuery<T>): Promise<RecentPage<T>> {
    if (wantsFresh(query)) await this.flush();
    return this.#reader.listRecent(query);
  }

  /**
   * Sums a period by hour, day, month, id or declared column, as a stream. Only some rows of a
   * large result are in memory, and leaving the loop ends the query. Rows are ordered by `groupBy`
   * and come from one snapshot.
   *
   * @throws LedgerReadError while it is read, as `summary`; it takes 10 minutes at most
   */
  async *report<
    const GroupBy extends readonly ReportGroup<T>[] = readonly [],
    const Sum extends readonly (keyof T['columns'] & string)[] = readonly [],
  >(
    query: ReportQuery<T, GroupBy, Sum>,
  ): AsyncGenerator<ReportRowOf<GroupBy, Sum>, void, undefined> {
    // The query is checked now; the table is read when the first row is requested.
    const rows = this.#reader.report(query);
    if (wantsFresh(query)) await this.flush();
    // The reader's rows have the fields that the query names.
    yield* rows as AsyncGenerator<ReportRowOf<GroupBy, Sum>, void, undefined>;
  }

  /**
   * Books the opposite of an entry and waits until it is written. The reversing entry has no
   * `attributes`, and its `memo` is the reason. `bookedAt: 'original'` (default) uses the entry's
   * own time and corrects its period; `'now'` leaves a closed period as it was invoiced. A second
   * reversal of the same entry is a `duplicate` and books nothing, whatever the options.
   *
   * @returns the uuid of the reversing entry
   * @throws LedgerReadError `invalid` for an argument that makes no sense, or if there is no such entry;
   * else as `summary`
   * @throws LedgerEntryInvalidError if a declared amount is the lowest of its type (-2147483648 of an
   * integer), which has no opposite; else as `recordAndWait` while it is written
   */
  async reverse(uuid: string, options: ReverseOptions<T>): Promise<WaitResult> {
    const { table, clock, intake, awaited } = this.#ledger;
    const asked = parseReverseOptions(table, options);
    const entry = await this.#findWritten(uuid);
    const reversal = reversalUuid(table, entry);
    const isThere = async (): Promise<boolean> => (await this.#reader.find(reversal)) !== undefined;
    if (await isThere()) return { uuid: reversal, outcome: 'duplicate' };
    const opposite = reversalOf(table, entry, { ...asked, now: new Date(clock.now()) });
    // The only entry with a uuid of the ledger's own kind that does not come from a replay.
    intake.knownUuids.noteAnswered(reversal);
    try {
      return await awaited.record(opposite, {});
    } catch (error) {
      // Another caller reversed it at the same time, for another reason.
      if (!isLedgerError(error, 'LEDGER_DEAD_LETTERED') || !(await isThere())) throw error;
      return { uuid: reversal, outcome: 'duplicate' };
    }
  }

  async #findWritten(uuid: string): Promise<StoredEntry<LedgerTable>> {
    let entry = await this.#reader.find(uuid);
    if (entry === undefined) {
      await this.flush();
      entry = await this.#reader.find(uuid);
    }
    if (entry === undefined) throw new LedgerReadError('invalid', 'uuid', 'belongs to no entry');
    return entry;
  }

  /** Counts a mapper of `@RecordUsage` that failed. @internal */
  countMapperError(): void {
    this.#ledger.counters.mapperErrors++;
  }
}

/** The reader refuses invalid queries and names the rule. */
function wantsFresh(query: { readonly fresh?: boolean } | null): boolean {
  return query?.fresh === true;
}
