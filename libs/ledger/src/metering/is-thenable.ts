/** Whether awaiting it would call it. @internal */
export function isThenable(value: unknown): value is PromiseLike<unknown> {
  return (
    typeof value === 'object' &&
    value !== null &&
    typeof (value as { then?: unknown }).then === 'function'
  );
}

/**
 * A promise, of any realm. Not a query that only runs once it is awaited, as builders of queries
 * return it: its caller may mean to go on building.
 *
 * @internal
 */
export function isPlainPromise(value: unknown): value is Promise<unknown> {
  if (value instanceof Promise) return true;
  return isThenable(value) && Object.prototype.toString.call(value) === '[object Promise]';
}
