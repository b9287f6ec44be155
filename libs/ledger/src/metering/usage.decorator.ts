import { createParamDecorator, type ExecutionContext } from '@nestjs/common';
import 'reflect-metadata';
import { onePerNest } from '../nest/one-per-nest.js';
import { rawExchangeOf, type RawResponse } from './response-over.js';
import type { UsageDraft } from './usage-call.interface.js';

/**
 * The draft of a call over HTTP, on its raw response. No WeakMap there: thousands of young keys a
 * second make each garbage collection longer.
 */
const DRAFT = Symbol.for('nestjs-ledger/usage-draft');
/** Drafts of other calls, by an object that lives exactly as long as the call; see `callObject`. */
const drafts = onePerNest('usage drafts', () => new WeakMap<object, UsageDraft>());

/** Which parameter of a method is its draft. In the registry, so that two copies of the package meet. */
const USAGE_INDEX = Symbol.for('nestjs-ledger/usage-index');

const parameter = createParamDecorator((_data: undefined, context: ExecutionContext) =>
  draftOf(context),
);

/**
 * Gives a method an object to fill with what only it knows, as it works or streams; its mapper finds it
 * as `call.usage`. The draft is one per call and outlives the method's return.
 *
 * Where Nest resolves no parameters (a job, a scheduled method, a method that other code calls), the
 * draft takes the place of an argument that was left out.
 *
 * @publicApi
 */
export const Usage: () => ParameterDecorator = () => (target, key, index) => {
  parameter()(target, key, index);
  if (key !== undefined) Reflect.defineMetadata(USAGE_INDEX, index, target.constructor, key);
};

/** Which parameter of a method carries `@Usage()`; undefined if none does. @internal */
export function usageIndexOf(type: object, key: string | symbol): number | undefined {
  return Reflect.getMetadata(USAGE_INDEX, type, key) as number | undefined;
}

/** The draft of a call, made when first asked for. @internal */
export function draftOf(context: ExecutionContext): UsageDraft {
  const exchange = rawExchangeOf(context);
  if (exchange) return draftOnResponse(exchange.response);
  const key = callObject(context);
  const draft = (key && drafts.get(key)) ?? {};
  if (key) drafts.set(key, draft);
  return draft;
}

/** The draft of a call over HTTP. @internal */
export function draftOnResponse(response: RawResponse): UsageDraft {
  const marked: RawResponse & { [DRAFT]?: UsageDraft } = response;
  return (marked[DRAFT] ??= {});
}

/**
 * Nest makes a context each for interceptors and parameters, so a call is known by what both hold:
 * the last object among the arguments (an RPC context, a message or its acknowledgement, GraphQL's
 * info). Never the first, which is the client or parent many calls share.
 */
function callObject(context: ExecutionContext): object | undefined {
  return context
    .getArgs<unknown[]>()
    .slice(1)
    .findLast(
      (argument): argument is object =>
        typeof argument === 'function' || (typeof argument === 'object' && argument !== null),
    );
}
