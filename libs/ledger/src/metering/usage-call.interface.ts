import type { ExecutionContext } from '@nestjs/common';
import type { LedgerTable } from '../entry/ledger-definition.js';
import type { NoUnknownFields, UsageEntry } from '../entry/usage-entry.interface.js';

/**
 * How a call ended.
 *
 * `completed`: the method returned and, over HTTP, its response was sent or is about to be; a
 * returned stream was read to its end. `failed`: the method or a later step threw, its stream
 * broke, or over HTTP another response replaced its own: an error (status 400 and above), or the
 * response of an interceptor that did not wait. `aborted`: the client hung up or the reader left
 * before the end, or the time limit of a shutdown was reached.
 *
 * @publicApi
 */
export type UsageEnd = 'completed' | 'failed' | 'aborted';

/**
 * The object from `@Usage()` for a handler to fill: any fields of an entry except the idempotency
 * key, which belongs to the mapper. Initially empty, one for each call.
 *
 * @publicApi
 */
export type UsageDraft<Table extends LedgerTable = LedgerTable> = Partial<
  Exclude<UsageEntry<Table>, { idempotencyKey: string }>
>;

/** One call of a decorated handler, the input of its mapper. @publicApi */
export interface UsageCall<Result = unknown, Table extends LedgerTable = LedgerTable> {
  /**
   * The method's context. The response's status can be read from it, but no longer changed.
   * Undefined if Nest does not call the method as a handler: jobs, scheduled methods, methods that
   * other code calls, and field resolvers unless `fieldResolverEnhancers` has `interceptors`.
   */
  readonly context: ExecutionContext | undefined;
  /** The method's arguments; empty if it was not reached. */
  readonly args: readonly unknown[];
  readonly end: UsageEnd;
  /**
   * The handler's result: the resolved value, an observable's last value (for `@Sse()` the last
   * event), or the stream itself. Undefined if the handler has not returned.
   */
  readonly result?: Result;
  /** The error. Undefined without an error, or if it was thrown after the interceptor. */
  readonly error?: unknown;
  /** The handler's `@Usage()` parameter; empty if it has none. */
  readonly usage: UsageDraft<Table>;
  /** Time at which the interceptor was reached: after middleware and guards, before pipes. */
  readonly startedAt: Date;
  /** Milliseconds from `startedAt` to this call, with fractions, on a clock that never jumps. */
  readonly durationMs: number;
}

/** The default ledger: bigint ids and no declared columns. @publicApi */
export type DefaultTable = LedgerTable<'bigint', {}>;

/**
 * Creates the entries of a call; `null` or an empty array records nothing. Must be synchronous: a
 * promise counts as an error, because nothing could wait for it.
 *
 * @publicApi
 */
export type UsageMapper<Result = unknown, Table extends LedgerTable = DefaultTable> = (
  call: UsageCall<Result, Table>,
) => MappedEntries<Table>;

/** Return types of a mapper. */
export type MappedEntries<Table extends LedgerTable = DefaultTable> =
  UsageEntry<Table> | readonly UsageEntry<Table>[] | null;

/**
 * A `UsageMapper` whose entries have no unknown property, if `Made` is inferred. With explicit type
 * arguments, unknown properties are found only at run time.
 */
export type ExactMapper<Result, Table extends LedgerTable, Made> = (
  call: UsageCall<Result, Table>,
) => Made & NoUnknownEntries<Table, Made>;

type NoUnknownEntries<Table extends LedgerTable, Made> = [Made] extends [readonly (infer Each)[]]
  ? readonly NoUnknownFields<Table, Each>[]
  : NoUnknownFields<Table, Exclude<Made, null>> | null;

/**
 * How long a plain response waits. `record`: not at all. `room`: for room in the channel, at most
 * `blockTimeoutMs`. `durable`: until the entry is in the journal, at most `blockTimeoutMs`; without
 * a journal, or while it can't be written, for the commit, and on a gateway for the stream.
 * `commit`: for the commit, at most `commitTimeoutMs`; gateways refuse it at boot. Then the
 * response is sent, independent of the entry's outcome.
 *
 * @publicApi
 */
export type UsageGuarantee = 'record' | 'room' | 'durable' | 'commit';

/** Options of `@RecordUsage`. @publicApi */
export interface RecordUsageOptions<Table extends LedgerTable = LedgerTable> {
  /**
   * Default with a journal: `durable`, but the response does not wait while the journal can't be
   * written. Without a journal: `record`, or `room` if the ledger's `overflow` is `block`.
   */
  guarantee?: UsageGuarantee;
  /** The ledger to record to. Default: the default ledger. */
  ledger?: Table;
}
