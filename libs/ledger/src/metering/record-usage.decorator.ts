import { SetMetadata, UseFilters, type Type } from '@nestjs/common';
import type { Observable } from 'rxjs';
import type { LedgerTable } from '../entry/ledger-definition.js';
import { meterHandlers, meterMethod, MeteredClasses, RECORD_USAGE } from './metered-classes.js';
import type {
  DefaultTable,
  ExactMapper,
  MappedEntries,
  RecordUsageOptions,
} from './usage-call.interface.js';
import type { RecordUsageMetadata } from './usage-plan.js';

/**
 * Return types of a method with the result `Result`: the value itself, or a promise or stream of
 * it.
 */
type Returned<Result> = Result | Observable<Result> | AsyncIterable<Result>;

/**
 * Decorates a class, or a method whose result fits the mapper's.
 *
 * @publicApi
 */
export interface UsageDecorator<Result = unknown> {
  /** @typeParam Method the method's own type: what it returns must fit `Result` */
  <Method extends (...args: never[]) => Returned<Result> | PromiseLike<Returned<Result>>>(
    target: object,
    key: string | symbol,
    descriptor: TypedPropertyDescriptor<Method>,
  ): void;
  (target: abstract new (...args: never[]) => unknown): void;
  /** The key of the decorator's metadata. */
  readonly KEY: symbol;
}

/**
 * Records usage of a method that Nest or other code calls: a route, a handler of messages, a
 * resolver of GraphQL, a job's `process()`, a scheduled method, or any method of a provider. On a
 * class it applies to each handler without its own decorator.
 *
 * The mapper runs exactly once for each call of the method. Over HTTP it runs before the response
 * of a plain result is sent. For streams, handlers with `@Res()` or `@Next()`, `@Sse()`, errors and
 * clients that hang up, it runs when the response has finished or closed. Elsewhere it runs when
 * the method, or the observable or async iterable that it returned, has ended. The call is not over
 * while the method still runs, even if an interceptor has already answered; it ends one second
 * after its client has left.
 *
 * A `guarantee` delays a promise or a plain response. A response that was sent can't be delayed,
 * nor a value that was returned synchronously; `room`, `durable` and `commit` then mean that the
 * entry waits for room. With all guarantees except `record` the mapper runs before the result is
 * serialised, so it does not see a failure of that; with `record` such a call ends as `failed`.
 *
 * To include pipes and other interceptors in the call, register `LedgerInterceptor`.
 *
 * At most one on a method and one on a class. A mapper may return several entries of its ledger;
 * record entries of another ledger by that ledger's `LedgerService`.
 *
 * A mapper that throws is counted (`mapperErrors`) and logged at most once a second; the call's
 * result is unchanged. Without the ledger, the application does not boot. An object that Nest did
 * not create records nothing, which is logged once for each method.
 *
 * `Result` is the method's result: the value of its promise, observable or async iterable. A
 * different type is a compile error. To check entries against a ledger's columns as well, omit both
 * type arguments and annotate the mapper's parameter, or give both.
 *
 * @throws Error when the class is defined, if it is used twice on one method or class, or on a
 * static method or an accessor
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
export function RecordUsage<
  Result = unknown,
  Made extends MappedEntries<DefaultTable> = MappedEntries<DefaultTable>,
>(
  mapper: ExactMapper<Result, DefaultTable, Made>,
  options?: RecordUsageOptions & { ledger?: undefined },
): UsageDecorator<Result>;
export function RecordUsage<
  Result = unknown,
  Table extends LedgerTable = LedgerTable,
  Made extends MappedEntries<Table> = MappedEntries<Table>,
>(
  mapper: ExactMapper<Result, Table, Made>,
  options: RecordUsageOptions<Table> & { ledger: Table },
): UsageDecorator<Result>;
export function RecordUsage(
  mapper: (call: never) => unknown,
  options: RecordUsageOptions = {},
): UsageDecorator {
  const metadata: RecordUsageMetadata = { mapper, options };
  const decorate = (
    target: object,
    key?: string | symbol,
    descriptor?: PropertyDescriptor,
  ): void => {
    refuseSecond(target, key, descriptor);
    if (key === undefined) return decorateClass(target as Type, metadata);
    refuseOther(target, key, descriptor);
    meterMethod(target, key, descriptor!, { metadata, isByClass: false });
  };
  return Object.assign(decorate, { KEY: RECORD_USAGE });
}

function decorateClass(type: Type, metadata: RecordUsageMetadata): void {
  SetMetadata(RECORD_USAGE, metadata)(type);
  UseFilters(MeteredClasses)(type);
  meterHandlers(type, metadata);
}

function refuseOther(target: object, key: string | symbol, descriptor?: PropertyDescriptor): void {
  if (typeof target === 'object' && typeof descriptor?.value === 'function') return;
  const { name } = typeof target === 'object' ? target.constructor : target;
  throw new Error(
    `@RecordUsage on ${name}.${String(key)}: use it on instance methods, ` +
      'not on static ones, accessors or properties',
  );
}

/** Metadata has room for one mapper; the other would silently never run. */
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
    `@RecordUsage is used twice on ${where}, and one would record nothing: ` +
      'let one mapper return several entries, or record by LedgerService',
  );
}
