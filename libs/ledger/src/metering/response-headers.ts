import { onePerNest } from '../nest/one-per-nest.js';
import { callOf } from './call-in-progress.js';
import type { HttpHandlerCall } from './http-handler-call.js';
import type { RawResponse } from './response-over.js';

/** Prototypes of responses that are already wrapped. */
const watched = onePerNest('watched responses', () => new WeakSet<object>());

/**
 * Whether the call is notified just before the headers of this response are written. That is the
 * last time before the response is sent, and the first at which it is known to be the handler's
 * response.
 *
 * Node has no event for it. `writeHead` is wrapped once, on the prototype, and looks up the call.
 * Wrapping each response, like the `on-headers` package, took 3 µs of CPU per request, a third of
 * the budget of metering.
 *
 * @internal
 */
export function watchesHeaders(response: RawResponse): boolean {
  if (response.headersSent) return false;
  const prototype: unknown = Object.getPrototypeOf(response);
  if (typeof prototype !== 'object' || prototype === null) return false;
  return watched.has(prototype) || watchPrototype(prototype);
}

function watchPrototype(prototype: object): boolean {
  const holder = holderOf(prototype);
  if (holder === undefined) return false;
  if (!watched.has(holder)) {
    wrap(holder);
    watched.add(holder);
  }
  watched.add(prototype);
  return true;
}

function holderOf(prototype: object): object | undefined {
  let holder: object | null = prototype;
  while (holder && !Object.hasOwn(holder, 'writeHead')) {
    holder = Object.getPrototypeOf(holder) as object | null;
  }
  const descriptor = Reflect.getOwnPropertyDescriptor(holder ?? {}, 'writeHead');
  const { configurable } = descriptor ?? {};
  const value: unknown = descriptor?.value;
  return holder && configurable && typeof value === 'function' ? holder : undefined;
}

function wrap(holder: object): void {
  const descriptor = Reflect.getOwnPropertyDescriptor(holder, 'writeHead')!;
  const original = descriptor.value as (...args: unknown[]) => unknown;
  const writeHead = function (this: RawResponse, ...args: unknown[]): unknown {
    const call = callOf<HttpHandlerCall>(this);
    if (call) call.headers(typeof args[0] === 'number' ? args[0] : this.statusCode);
    return Reflect.apply(original, this, args);
  };
  Object.defineProperty(writeHead, 'length', { value: original.length, configurable: true });
  Object.defineProperty(writeHead, 'name', { value: 'writeHead', configurable: true });
  Object.defineProperty(holder, 'writeHead', { ...descriptor, value: writeHead });
}
