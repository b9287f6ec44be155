import type { OpenCall, OpenCallList } from '../ports/open-call.interface.js';

/**
 * The open calls and promises of one ledger. A stop waits for them before it seals.
 *
 * @internal
 */
export class OpenCalls implements OpenCallList {
  #first: OpenCall | undefined;
  #size = 0;
  readonly #waiters: (() => void)[] = [];
  #onFirst: (() => void) | undefined;

  get size(): number {
    return this.#size;
  }

  add(call: OpenCall): void {
    if (call.isListed) return;
    call.isListed = true;
    call.before = undefined;
    call.after = this.#first;
    if (this.#first) this.#first.before = call;
    this.#first = call;
    this.#size += 1;
    if (this.#onFirst !== undefined) this.#noteFirst(this.#onFirst);
  }

  #noteFirst(callback: () => void): void {
    this.#onFirst = undefined;
    callback();
  }

  /** Calls back once, at the next call; must not throw. */
  whenFirst(callback: () => void): void {
    this.#onFirst = callback;
  }

  delete(call: OpenCall): void {
    if (!call.isListed) return;
    call.isListed = false;
    if (call.before) call.before.after = call.after;
    else this.#first = call.after;
    if (call.after) call.after.before = call.before;
    call.before = call.after = undefined;
    this.#size -= 1;
    if (this.#size > 0 || this.#waiters.length === 0) return;
    for (const resolve of this.#waiters.splice(0)) resolve();
  }

  /** Resolves when no call is open. */
  idle(): Promise<void> {
    if (this.#size === 0) return Promise.resolve();
    return new Promise((resolve) => this.#waiters.push(resolve));
  }

  /** Aborts all open calls. */
  abortAll(): void {
    const open: OpenCall[] = [];
    for (let call = this.#first; call; call = call.after) open.push(call);
    for (const call of open) {
      call.abort();
      this.delete(call);
    }
  }

  /**
   * Counts a promise as open until it settles.
   *
   * @returns a new promise with the same result. A handler on the given one would hide an unhandled
   *   rejection.
   */
  track<T>(promise: PromiseLike<T>): Promise<T> {
    return Promise.resolve(promise).finally(this.begin());
  }

  /** Counts work that can't be aborted as open. @returns ends it; may be called again */
  begin(): () => void {
    const call: OpenCall = { abort: () => undefined };
    this.add(call);
    return () => this.delete(call);
  }
}
