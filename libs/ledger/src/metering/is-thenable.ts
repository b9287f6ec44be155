/** Whether awaiting it would call it. @internal */
export function isThenable(value: unknown): value is PromiseLike<unknown> {
  return (
    typeof value === 'object' &&
    value !== null &&
    typeof (value as { then?: unknown }).then === 'function'
  );
}

/**
 * A promise, of any realm. Excludes lazy queries of query builders, which run when awaited: the
 * caller may continue building.
 *
 * @internal
 */
export function isPlainPromise(value: unknown): value is Promise<unknown> {
  if (value instanceof Promise) return true;
  return isThenable(value) && Object.prototype.toString.call(value) === '[object Promise]';
}
