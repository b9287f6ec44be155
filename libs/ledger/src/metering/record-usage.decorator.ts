import { SetMetadata, UseInterceptors, type CustomDecorator, type Type } from '@nestjs/common';
import type { LedgerTable } from '../entry/ledger-definition.js';
import { LedgerInterceptor } from './ledger.interceptor.js';
import { RECORD_USAGE, type RecordUsageMetadata } from './record-usage.metadata.js';
import type { DefaultTable, RecordUsageOptions, UsageMapper } from './usage-call.interface.js';

/**
 * Records usage of a handler, or of every handler of a controller (a handler's own decorator goes
 * before its controller's). It brings `LedgerInterceptor` along, outside of the interceptors
 * that are written above it and inside of the controller's; register that globally or on the
 * controller as well where it must be further out: the outermost one has the call.
 *
 * The mapper runs exactly once per request that reaches the interceptor. For a plain result that is
 * before the response is sent; for streams, handlers with `@Res()` or `@Next()`, `@Sse()`, errors
 * and clients that hang up it is when the response has finished or closed. There the response is
 * out, so no `guarantee` can hold it: `room` and `commit` then mean that the entry waits for room.
 * With `room` and `commit` the mapper runs before the result is serialised, so it can't know if
 * that fails; with `record` such a call ends as `failed`.
 *
 * One on a handler, and one on a controller. A mapper may return several entries of its ledger; what
 * goes to another ledger is recorded by that one's `LedgerService`.
 *
 * A mapper that throws is counted (`mapperErrors`) and logged at most once a second; the response
 * goes out unchanged.
 *
 * `Result` is the handler's result. To have entries checked against a ledger's columns as well,
 * leave both type arguments out and annotate the mapper's parameter, or give both.
 *
 * @throws Error when the class is made, if it stands twice on one handler or controller
 * @example
 * ```ts
 * @Post()
 * @RecordUsage<Completion>(({ result }) =>
 *   result ? { userId: 7, completionTokens: result.usage.total } : null)
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
  const mark = SetMetadata<symbol, RecordUsageMetadata>(RECORD_USAGE, { mapper, options });
  const intercept = UseInterceptors(LedgerInterceptor);
  const decorate = ((target: object, key?: string | symbol, descriptor?: PropertyDescriptor) => {
    refuseSecond(target, key, descriptor);
    // As Nest's own `applyDecorators` does: a class has neither key nor descriptor.
    for (const each of [mark, intercept] as (MethodDecorator & ClassDecorator)[]) {
      if (descriptor && key !== undefined) each(target, key, descriptor);
      else each(target as Type);
    }
  }) as CustomDecorator<symbol>;
  return Object.assign(decorate, { KEY: mark.KEY });
}

/** Metadata holds one mapper: that of the other would never run, and nothing would tell of it. */
function refuseSecond(
  target: object,
  key: string | symbol | undefined,
  descriptor: PropertyDescriptor | undefined,
): void {
  if (!Reflect.hasOwnMetadata(RECORD_USAGE, (descriptor?.value as object | undefined) ?? target))
    return;
  const { name } = key === undefined ? (target as Type) : target.constructor;
  const where = key === undefined ? name : `${name}.${String(key)}`;
  throw new Error(
    `@RecordUsage stands twice on ${where}, and one would record nothing: ` +
      'let one mapper return several entries, or record by LedgerService',
  );
}
