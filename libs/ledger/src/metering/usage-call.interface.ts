import type { ExecutionContext } from '@nestjs/common';
import type { LedgerTable } from '../entry/ledger-definition.js';
import type { NoUnknownFields, UsageEntry } from '../entry/usage-entry.interface.js';

/**
 * How a call ended.
 *
 * `completed`: the method returned and, over HTTP, its answer was sent or is about to be; a stream that it
 * returned was read to its end. `failed`: the method or what follows it threw, its stream broke, or over
 * HTTP something else was answered in its place: an error (status 400 and above), or by an interceptor
 * that did not wait for it. `aborted`: the client hung up, or the reader left, before the end; or the
 * application stopped, and its time limit came first.
 *
 * @publicApi
 */
export type UsageEnd = 'completed' | 'failed' | 'aborted';

/**
 * The object that `@Usage()` gives a handler to fill: any fields of an entry but the idempotency
 * key, which belongs to the mapper. Empty at first, one per request, the handler's own.
 *
 * @publicApi
 */
export type UsageDraft<Table extends LedgerTable = LedgerTable> = Partial<
  Exclude<UsageEntry<Table>, { idempotencyKey: string }>
>;

/** One call of a decorated handler, as its mapper sees it. @publicApi */
export interface UsageCall<Result = unknown, Table extends LedgerTable = LedgerTable> {
  /**
   * The method's context; the answer's status may be read from it, but no longer changed. Undefined
   * where Nest does not call the method as a handler: jobs, scheduled methods, methods that other code
   * calls, and field resolvers unless `fieldResolverEnhancers` has `interceptors`.
   */
  readonly context: ExecutionContext | undefined;
  /** What the method was called with; empty if it was not reached. */
  readonly args: readonly unknown[];
  readonly end: UsageEnd;
  /**
   * What the handler returned: the resolved value, an observable's last value (for `@Sse()` the
   * last event), or the stream itself. Undefined if the handler had not returned.
   */
  readonly result?: Result;
  /** What was thrown. Undefined if all went well, or if it was thrown after the interceptor. */
  readonly error?: unknown;
  /** What the handler wrote into its `@Usage()` parameter; empty if it has none. */
  readonly usage: UsageDraft<Table>;
  /** When the interceptor was reached: after middleware and guards, before pipes. */
  readonly startedAt: Date;
  /** Milliseconds from `startedAt` to this call, with fractions, on a clock that never jumps. */
  readonly durationMs: number;
}

/** The default ledger: bigint ids and no declared columns. @publicApi */
export type DefaultTable = LedgerTable<'bigint', {}>;

/**
 * Makes entries of a call; `null` (or an empty array) records nothing. Synchronous: a promise is
 * counted as an error, since nothing could wait for it.
 *
 * @publicApi
 */
export type UsageMapper<Result = unknown, Table extends LedgerTable = DefaultTable> = (
  call: UsageCall<Result, Table>,
) => MappedEntries<Table>;

/** What a mapper may answer. */
export type MappedEntries<Table extends LedgerTable = DefaultTable> =
  UsageEntry<Table> | readonly UsageEntry<Table>[] | null;

/**
 * A `UsageMapper` whose entries have no property that is not a field, if `Made` is inferred from it. With
 * type arguments given by hand, run time finds them alone.
 */
export type ExactMapper<Result, Table extends LedgerTable, Made> = (
  call: UsageCall<Result, Table>,
) => Made & NoUnknownEntries<Table, Made>;

type NoUnknownEntries<Table extends LedgerTable, Made> = [Made] extends [readonly (infer Each)[]]
  ? readonly NoUnknownFields<Table, Each>[]
  : NoUnknownFields<Table, Exclude<Made, null>> | null;

/**
 * What a plain response waits for: nothing, room in the channel (at most `blockTimeoutMs`), that the
 * entry is in the journal (`durable`; at most `blockTimeoutMs`, and without a journal or while it can't be
 * written the commit; on a gateway the stream), or the commit (at most `commitTimeoutMs`; a gateway, which never
 * hears of one, refuses that at boot). Then it goes out, whatever became of the
 * entry.
 *
 * @publicApi
 */
export type UsageGuarantee = 'record' | 'room' | 'durable' | 'commit';

/** How `@RecordUsage` records. @publicApi */
export interface RecordUsageOptions<Table extends LedgerTable = LedgerTable> {
  /**
   * Default with a journal: `durable`, but while the journal can't be written the response waits for
   * nothing. Without one: `record`, or `room` if the ledger's `overflow` is `block`.
   */
  guarantee?: UsageGuarantee;
  /** The ledger to record to. Default: the default ledger. */
  ledger?: Table;
}
