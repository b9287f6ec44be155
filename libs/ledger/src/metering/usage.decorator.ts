import { createParamDecorator, type ExecutionContext } from '@nestjs/common';
import 'reflect-metadata';
import { onePerNest } from '../nest/one-per-nest.js';
import { rawExchangeOf, type RawResponse } from './response-over.js';
import type { UsageDraft } from './usage-call.interface.js';

/**
 * The draft of a call over HTTP, on its raw response. Not in a WeakMap, because thousands of young
 * keys a second prolong each garbage collection.
 */
const DRAFT = Symbol.for('nestjs-ledger/usage-draft');
/** Drafts of other calls, by an object with the call's lifetime; see `callObject`. */
const drafts = onePerNest('usage drafts', () => new WeakMap<object, UsageDraft>());

/**
 * Index of a method's draft parameter. In the global registry, so that two copies of the package
 * share it.
 */
const USAGE_INDEX = Symbol.for('nestjs-ledger/usage-index');

const parameter = createParamDecorator((_data: undefined, context: ExecutionContext) =>
  draftOf(context),
);

/**
 * Gives a method an object to fill while it works or streams. The mapper reads it as `call.usage`.
 * Each call has one draft, which outlives the method's return.
 *
 * If Nest resolves no parameters (a job, a scheduled method, a method that other code calls), the
 * draft replaces an omitted argument.
 *
 * @publicApi
 */
export const Usage: () => ParameterDecorator = () => (target, key, index) => {
  parameter()(target, key, index);
  if (key !== undefined) Reflect.defineMetadata(USAGE_INDEX, index, target.constructor, key);
};

/** Index of a method's `@Usage()` parameter; undefined if it has none. @internal */
export function usageIndexOf(type: object, key: string | symbol): number | undefined {
  return Reflect.getMetadata(USAGE_INDEX, type, key) as number | undefined;
}

/** The draft of a call, created at the first access. @internal */
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
 * Nest creates separate contexts for interceptors and parameters, so a call is identified by an
 * object that both have: the last object among the arguments (an RPC context, a message or its
 * acknowledgement, GraphQL's info). Never the first one, which is the client or parent that many
 * calls share.
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
