import { finished, type Readable } from 'node:stream';

/** Callbacks for the reading of a stream of values. @internal */
export interface IterationWatch {
  /** Reading begins. */
  opened(): void;
  next(value: unknown): void;
  failed(error: unknown): void;
  /** All values were read. @returns a promise that the reader waits for; never rejects */
  done(): Promise<void> | undefined;
  /** The reader left before the end. */
  left(): void;
}

type Iteration = Partial<AsyncIterator<unknown>> & {
  [Symbol.asyncIterator]?: () => AsyncIterator<unknown>;
};

/** Whether a value is read piece by piece: an async iterable or iterator, or a stream of Node. */
export function isIteration(value: unknown): value is object {
  if (typeof value !== 'object' || value === null || 'getReader' in value) return false;
  return typeof (value as Iteration)[Symbol.asyncIterator] === 'function';
}

/**
 * Observes the first reading of an async iterable, from its first value to its end.
 *
 * It is changed in place if possible, because its reader may compare it by identity or use more
 * than the protocol (a generator, a subscription of a broker).
 *
 * @returns the iterable to hand to the reader
 * @internal
 */
export function watchIteration(source: object, watch: IterationWatch): object {
  if ('pipe' in source) return watchStream(source as Readable, watch);
  const iteration = source as Iteration;
  if (typeof iteration.next === 'function') return watchIterator(source, iteration, watch);
  const open = iteration[Symbol.asyncIterator]!;
  let isOpened = false;
  const opened = function (this: unknown): AsyncIterator<unknown> {
    const iterator = open.call(this);
    // A second reading is not observed, because a call ends once.
    if (isOpened) return iterator;
    isOpened = true;
    return watchIterator(iterator, iterator, watch) as AsyncIterator<unknown>;
  };
  // Not in place: another call may return the same iterable.
  return new Proxy(source, {
    get: (target, key) => {
      if (key === Symbol.asyncIterator) return opened.bind(target);
      const value: unknown = Reflect.get(target, key, target);
      return typeof value === 'function' ? (value.bind(target) as unknown) : value;
    },
  });
}

function watchStream(stream: Readable, watch: IterationWatch): Readable {
  watch.opened();
  finished(stream, { writable: false }, (error) => {
    const isLeft = error?.code === 'ERR_STREAM_PREMATURE_CLOSE';
    if (isLeft) watch.left();
    else if (error) watch.failed(error);
    else void watch.done();
  });
  return stream;
}

function watchIterator(target: object, iterator: Iteration, watch: IterationWatch): object {
  const { next, return: leave, throw: raise } = iterator;
  let isOpened = false;
  let isOver = false;
  const over = (tell: () => unknown): unknown => {
    if (isOver) return undefined;
    isOver = true;
    return tell();
  };
  const open = (): void => {
    if (isOpened) return;
    isOpened = true;
    watch.opened();
  };
  const watched = {
    async next(this: void, ...args: [] | [unknown]) {
      open();
      try {
        const result = await next!.apply(iterator as AsyncIterator<unknown>, args);
        if (result.done) await over(() => watch.done());
        else if (!isOver) watch.next(result.value);
        return result;
      } catch (error) {
        over(() => watch.failed(error));
        throw error;
      }
    },
    async return(this: void, value?: unknown) {
      open();
      try {
        // A generator's cleanup still belongs to the call.
        return (await leave?.call(iterator as AsyncIterator<unknown>, value)) ?? ended(value);
      } finally {
        over(() => watch.left());
      }
    },
    async throw(this: void, error?: unknown) {
      open();
      try {
        if (!raise) throw error;
        return await raise.call(iterator as AsyncIterator<unknown>, error);
      } finally {
        over(() => watch.failed(error));
      }
    },
  };
  for (const key of ['next', 'return', 'throw'] as const) {
    const isSet = Reflect.defineProperty(target, key, {
      value: watched[key],
      configurable: true,
      writable: true,
    });
    // Frozen: replaced by an iterable with the protocol only.
    if (!isSet) return { ...watched, [Symbol.asyncIterator]: () => watched };
  }
  return target;
}

function ended(value: unknown): IteratorReturnResult<unknown> {
  return { done: true, value };
}
