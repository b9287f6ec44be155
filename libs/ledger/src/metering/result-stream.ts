import { StreamableFile } from '@nestjs/common';
import { isErrored, type Readable } from 'node:stream';

/**
 * The stream that Nest sends for a result: the result itself, or the stream inside a plain object
 * (`{ data: stream }`), which Nest sends instead of the object. Undefined for a plain result.
 *
 * @internal
 */
export function streamOf(result: unknown): object | undefined {
  if (typeof result !== 'object' || result === null) return undefined;
  try {
    // Fast path: most results are plain objects, most of whose values are not objects.
    const isPlain = Object.getPrototypeOf(result) === Object.prototype;
    if (isPlain ? isPiped(result) : isStream(result)) return unwrap(result);
    if (!isPlain) return undefined;
    for (const key of Object.keys(result)) {
      const value = (result as Record<string, unknown>)[key];
      if (typeof value === 'object' && value !== null && isStream(value)) return unwrap(value);
    }
    return undefined;
  } catch {
    // A getter that throws; serialising the result will report that.
    return undefined;
  }
}

/**
 * A stream's error, if it failed. A web stream does not report its error.
 *
 * @internal
 */
export function streamFailureOf(stream: object): { error: unknown } | undefined {
  // Declared for Node's streams only, but accepts web streams too, and is false for anything else.
  if (!isErrored(stream as Readable)) return undefined;
  return { error: (stream as Partial<Readable>).errored ?? undefined };
}

type OnError = (error: unknown) => void;

/**
 * The calls that wait for an iterable to be opened, in order; stored on the replacement function.
 */
const WAITING = Symbol('waiting');
type Open = (() => AsyncIterator<unknown>) & { [WAITING]?: Set<OnError> };

/**
 * Calls back with the error that an async iterable throws while it is read. The iterable is changed
 * in place, because an outer interceptor may compare it by identity, and only once, because a
 * handler may return the same one for each request. Each opening then serves the call that has
 * waited longest. Node and web streams keep their own error, see `streamFailureOf`, and are not
 * changed.
 *
 * @returns a function to call when the call is over
 */
export function watchIterable(stream: object, onError: OnError): () => void {
  const open = (stream as { readonly [Symbol.asyncIterator]?: Open })[Symbol.asyncIterator];
  if (!open || 'pipe' in stream || 'getReader' in stream) return () => undefined;
  const waiting = open[WAITING] ?? standIn(stream, open);
  waiting.add(onError);
  return () => waiting.delete(onError);
}

function standIn(stream: object, open: Open): Set<OnError> {
  const waiting = new Set<OnError>();
  const value = function (this: unknown): AsyncIterator<unknown> {
    const [onError] = waiting;
    if (!onError) return open.call(this);
    waiting.delete(onError);
    return watchIterator(open.call(this), onError);
  };
  // False for a frozen object, whose failure then looks like a client that hung up.
  Reflect.defineProperty(stream, Symbol.asyncIterator, {
    configurable: true,
    writable: true,
    value: Object.assign(value, { [WAITING]: waiting }),
  });
  return waiting;
}

function watchIterator(iterator: AsyncIterator<unknown>, onError: OnError): AsyncIterator<unknown> {
  return {
    async next() {
      try {
        return await iterator.next();
      } catch (error) {
        onError(error);
        throw error;
      }
    },
    async return(value?: unknown) {
      return (await iterator.return?.(value)) ?? { done: true, value };
    },
  };
}

/** The values that Nest and its adapters stream; an awaitable means its resolved value. */
function isStream(value: unknown): value is object {
  if (typeof value !== 'object' || value === null) return false;
  return value instanceof StreamableFile || isWebResponse(value) || isPiped(value);
}

function isPiped(value: object): boolean {
  const candidate = value as Record<PropertyKey, unknown>;
  return (
    typeof candidate['pipe'] === 'function' ||
    (typeof candidate[Symbol.asyncIterator] === 'function' &&
      typeof candidate['then'] !== 'function')
  );
}

function unwrap(stream: object): object {
  if (stream instanceof StreamableFile) return stream.getStream();
  // A web response without a body streams nothing, but is sent in the same way.
  return isWebResponse(stream) ? (stream.body ?? stream) : stream;
}

/** By tag: a Response of another realm or of a polyfill is one, too. */
export function isWebResponse(value: unknown): value is Response {
  return Object.prototype.toString.call(value) === '[object Response]';
}
