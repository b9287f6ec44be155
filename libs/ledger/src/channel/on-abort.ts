interface Watch {
  readonly callbacks: Set<() => void>;
  readonly listener: () => void;
}

/**
 * Watches by signal. An application may use one signal for thousands of waits, for example that of
 * its own shutdown. With one listener for each, Node would warn of a leak from the eleventh on.
 */
const watches = new WeakMap<AbortSignal, Watch>();

/**
 * Calls back once when a signal is aborted.
 *
 * @param signal not aborted yet
 * @returns cancels the watch; the signal has no listener after the last wait
 * @internal
 */
export function onAbort(signal: AbortSignal, callback: () => void): () => void {
  const watch = watches.get(signal) ?? openWatch(signal);
  watch.callbacks.add(callback);
  return () => {
    watch.callbacks.delete(callback);
    if (watch.callbacks.size > 0 || watches.get(signal) !== watch) return;
    watches.delete(signal);
    signal.removeEventListener('abort', watch.listener);
  };
}

function openWatch(signal: AbortSignal): Watch {
  const callbacks = new Set<() => void>();
  const listener = (): void => {
    watches.delete(signal);
    callbacks.forEach((callback) => callback());
  };
  const watch = { callbacks, listener };
  watches.set(signal, watch);
  signal.addEventListener('abort', listener, { once: true });
  return watch;
}
