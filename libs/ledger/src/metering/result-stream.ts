import { StreamableFile } from '@nestjs/common';
import { isErrored, type Readable } from 'node:stream';

/**
 * The stream that Nest sends for a result: the result itself, or one held by a plain object
 * (`{ data: stream }`), which Nest sends in the object's place. Undefined for a plain result.
 *
 * @internal
 */
export function streamOf(result: unknown): object | undefined {
  if (typeof result !== 'object' || result === null) return undefined;
  try {
    // Most results are plain objects, and most of their values are none: those cost next to nothing.
    const isPlain = Object.getPrototypeOf(result) === Object.prototype;
    if (isPlain ? isPiped(result) : isStream(result)) return unwrap(result);
    if (!isPlain) return undefined;
    for (const key of Object.keys(result)) {
      const value = (result as Record<string, unknown>)[key];
      if (typeof value === 'object' && value !== null && isStream(value)) return unwrap(value);
    }
    return undefined;
  } catch {
    // A getter that throws: whoever serialises the result will say so, and answer for it.
    return undefined;
  }
}

/**
 * How a stream broke, if it did. A web stream doesn't tell what it broke with.
 *
 * @internal
 */
export function streamFailureOf(stream: object): { error: unknown } | undefined {
  // Declared for Node's streams alone, but takes a web stream too (and false for anything else).
  if (!isErrored(stream as Readable)) return undefined;
  return { error: (stream as Partial<Readable>).errored ?? undefined };
}

type OnError = (error: unknown) => void;

/** Who waits for an iterable to be opened, in order; on the function that stands in for its own. */
const WAITING = Symbol('waiting');
type Open = (() => AsyncIterator<unknown>) & { [WAITING]?: Set<OnError> };

/**
 * Calls back with what an async iterable throws while it is read. It is changed in place, because
 * an outer interceptor may know it by identity; once, since a handler may return the same one for
 * each request: whoever opens it then reads for the call that has waited longest. Streams of Node
 * and the web keep their own error, see `streamFailureOf`, and are left alone.
 *
 * @returns a function to be called when the call is over
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
  // False for a frozen object: then its failure looks like a client that hung up.
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

/** What Nest and its adapters stream; an awaitable stands for what it resolves to. */
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
  // A web response without a body streams nothing, but is answered by the same way.
  return isWebResponse(stream) ? (stream.body ?? stream) : stream;
}

/** By tag: a Response of another realm or of a polyfill is one, too. */
export function isWebResponse(value: unknown): value is Response {
  return Object.prototype.toString.call(value) === '[object Response]';
}
