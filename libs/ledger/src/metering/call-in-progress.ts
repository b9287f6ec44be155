import type { CallHandler, ExecutionContext, NestInterceptor } from '@nestjs/common';
import { AsyncLocalStorage } from 'node:async_hooks';
import { Observable } from 'rxjs';
import { onePerNest } from '../nest/one-per-nest.js';
import type { HandlerCall } from './handler-call.js';

/**
 * The call in progress, on the object that all parts of one call share: Nest's context, or the raw
 * response. A property instead of a WeakMap, because thousands of young keys a second prolong each
 * garbage collection.
 */
const CALL = onePerNest('call', () => Symbol('nestjs-ledger call'));

type Marked = { [CALL]?: HandlerCall };

export function callOf<Call extends HandlerCall>(carrier: object): Call | undefined {
  return (carrier as Marked)[CALL] as Call | undefined;
}

export function setCall(carrier: object, call: HandlerCall): void {
  (carrier as Marked)[CALL] = call;
}

/** Nest's context before it reaches the method; the first metered method of the class takes it. */
interface Passing {
  readonly context: ExecutionContext;
  isTaken: boolean;
}

const passing = onePerNest('contexts', () => new AsyncLocalStorage<Passing>());

/** Calls a handler and makes the context available to its method. @internal */
export function passContext(context: ExecutionContext, next: CallHandler): Observable<unknown> {
  return new Observable((subscriber) => {
    const held = { context, isTaken: false };
    return passing.run(held, () => next.handle().subscribe(subscriber));
  });
}

/** The context of Nest's current call to a method of the class; undefined if there is none. */
export function takeContext(type: unknown): ExecutionContext | undefined {
  const held = passing.getStore();
  if (held === undefined || held.isTaken || held.context.getClass() !== type) return undefined;
  held.isTaken = true;
  return held.context;
}

/**
 * An interceptor that passes the context to message handlers and resolvers. Routes get it without
 * an interceptor, because even an empty one costs more than all of their metering.
 *
 * @internal
 */
export const contextPasser: NestInterceptor = {
  intercept(context: ExecutionContext, next: CallHandler): Observable<unknown> {
    if (passing.getStore()?.context === context) return next.handle();
    return passContext(context, next);
  },
};
