import { createParamDecorator, type ExecutionContext } from '@nestjs/common';
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

/**
 * Gives a handler an object to fill with what only it knows, as it streams; its mapper finds it as
 * `call.usage`. The draft is one per request and outlives the handler's return.
 *
 * Outside HTTP it needs a message, acknowledgement or context object of the call's own, which every
 * transport of Nest has but a WebSocket message that is a bare string or number.
 *
 * @publicApi
 */
export const Usage: () => ParameterDecorator = createParamDecorator(
  (_data: undefined, context: ExecutionContext) => draftOf(context),
);

/** The draft of a call, made when first asked for. @internal */
export function draftOf(context: ExecutionContext): UsageDraft {
  const exchange = rawExchangeOf(context);
  if (exchange) {
    const response: RawResponse & { [DRAFT]?: UsageDraft } = exchange.response;
    return (response[DRAFT] ??= {});
  }
  const key = callObject(context);
  const draft = (key && drafts.get(key)) ?? {};
  if (key) drafts.set(key, draft);
  return draft;
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
