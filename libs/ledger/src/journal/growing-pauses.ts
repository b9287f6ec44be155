/** The pause after the first failure, and the longest pause: each is twice the one before. */
const FIRST_MS = 1000;
const LONGEST_MS = 300_000;

/** Retries after growing pauses, by path. @internal */
export class GrowingPauses {
  readonly #pauses = new Map<string, { readonly until: number; readonly ms: number }>();

  /** @param now monotonic milliseconds */
  isDue(path: string, now: number): boolean {
    return now >= (this.#pauses.get(path)?.until ?? now);
  }

  noteFailed(path: string, now: number): void {
    const ms = Math.min(LONGEST_MS, 2 * (this.#pauses.get(path)?.ms ?? FIRST_MS / 2));
    this.#pauses.set(path, { until: now + ms, ms });
  }

  forget(path: string): void {
    this.#pauses.delete(path);
  }
}
