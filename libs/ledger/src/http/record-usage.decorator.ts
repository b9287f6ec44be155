import { SetMetadata, type CustomDecorator, type ExecutionContext } from '@nestjs/common';
import { Reflector } from '@nestjs/core';
import type { LedgerTable } from '../entry/ledger-definition.js';
import type { DefaultTable, UsageGuarantee, UsageMapper } from './usage-call.interface.js';

/** In the registry, so that a decorator and an interceptor of two copies of the package meet. */
const RECORD_USAGE = Symbol.for('nestjs-ledger/record-usage');

const reflector = new Reflector();

/** How `@RecordUsage` records. @publicApi */
export interface RecordUsageOptions<Table extends LedgerTable = LedgerTable> {
  /** Default: `record`, or `room` if the ledger's `overflow` is `block`. */
  guarantee?: UsageGuarantee;
  /** The ledger to record to. Default: the default ledger. */
  ledger?: Table;
}

/** A mapper of any types with its options, as the interceptor finds it. @internal */
export interface RecordUsageMetadata {
  readonly mapper: (call: never) => unknown;
  readonly options: RecordUsageOptions;
}

/**
 * Records usage of a handler, or of every handler of a controller (a handler's own decorator goes
 * before its controller's). Needs `LedgerInterceptor`, globally or on the controller.
 *
 * The mapper runs exactly once per request that reaches the interceptor. For a plain result that is
 * before the response is sent; for streams, handlers with `@Res()` or `@Next()`, `@Sse()`, errors
 * and clients that hang up it is when the response has finished or closed. There the response is
 * out, so no `guarantee` can hold it: `room` and `commit` then mean that the entry waits for room.
 * With `room` and `commit` the mapper runs before the result is serialised, so it can't know if
 * that fails; with `record` such a call ends as `failed`.
 *
 * A mapper that throws is counted (`mapperErrors`) and logged at most once a second; the response
 * goes out unchanged.
 *
 * `Result` is the handler's result. To have entries checked against a ledger's columns as well,
 * leave both type arguments out and annotate the mapper's parameter, or give both.
 *
 * @example
 * ```ts
 * @Post()
 * @RecordUsage<Completion>(({ result, end }) =>
 *   end === 'completed' ? { userId: 7, completionTokens: result.usage.total } : null)
 * complete(): Promise<Completion> { … }
 * ```
 *
 * @publicApi
 */
export function RecordUsage<Result = unknown>(
  mapper: UsageMapper<Result, DefaultTable>,
  options?: RecordUsageOptions & { ledger?: undefined },
): CustomDecorator<symbol>;
export function RecordUsage<Result = unknown, Table extends LedgerTable = LedgerTable>(
  mapper: UsageMapper<Result, Table>,
  options: RecordUsageOptions<Table> & { ledger: Table },
): CustomDecorator<symbol>;
export function RecordUsage(
  mapper: (call: never) => unknown,
  options: RecordUsageOptions = {},
): CustomDecorator<symbol> {
  return SetMetadata<symbol, RecordUsageMetadata>(RECORD_USAGE, { mapper, options });
}

/** What `@RecordUsage` left on the handler of a context, or on its class. @internal */
export function recordUsageOf(context: ExecutionContext): RecordUsageMetadata | undefined {
  return reflector.getAllAndOverride<RecordUsageMetadata | undefined>(RECORD_USAGE, [
    context.getHandler(),
    context.getClass(),
  ]);
}
