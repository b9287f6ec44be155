import type { CallHandler, ExecutionContext, NestInterceptor } from '@nestjs/common';
import { AsyncLocalStorage } from 'node:async_hooks';
import { Observable } from 'rxjs';
import { onePerNest } from '../nest/one-per-nest.js';
import type { HandlerCall } from './handler-call.js';

/**
 * The call in progress, on the object that all parts of one call hold: Nest's context, or the raw
 * response. A property and no WeakMap: thousands of young keys a second make each garbage collection
 * longer.
 */
const CALL = onePerNest('call', () => Symbol('nestjs-ledger call'));

type Marked = { [CALL]?: HandlerCall };

export function callOf<Call extends HandlerCall>(carrier: object): Call | undefined {
  return (carrier as Marked)[CALL] as Call | undefined;
}

export function setCall(carrier: object, call: HandlerCall): void {
  (carrier as Marked)[CALL] = call;
}

/** Nest's context on its way to the method; the first metered method of the class takes it. */
interface Passing {
  readonly context: ExecutionContext;
  isTaken: boolean;
}

const passing = onePerNest('contexts', () => new AsyncLocalStorage<Passing>());

/** Calls a handler so that the method behind it finds the context. @internal */
export function passContext(context: ExecutionContext, next: CallHandler): Observable<unknown> {
  return new Observable((subscriber) => {
    const held = { context, isTaken: false };
    return passing.run(held, () => next.handle().subscribe(subscriber));
  });
}

/** The context of the call that Nest makes just now to a method of the class, if it makes one. */
export function takeContext(type: unknown): ExecutionContext | undefined {
  const held = passing.getStore();
  if (held === undefined || held.isTaken || held.context.getClass() !== type) return undefined;
  held.isTaken = true;
  return held.context;
}

/**
 * Stands before message handlers and resolvers and hands them their context. Routes get theirs
 * without it: an interceptor that does nothing costs more than all of the metering there.
 *
 * @internal
 */
export const contextPasser: NestInterceptor = {
  intercept(context: ExecutionContext, next: CallHandler): Observable<unknown> {
    if (passing.getStore()?.context === context) return next.handle();
    return passContext(context, next);
  },
};
