/** A write on the event loop should not be longer than this. */
const LONG_MS = 20;
/** Of so many writes one in a hundred may be above `SLOW_MS`. Source: 0.2 ms is p99.9 beside a busy disk. */
const WINDOW = 1000;
const SLOW_MS = 1;
const ALLOWED = WINDOW / 100;
/** The disk counts as slow for so long then. */
const SLOW_FOR_MS = 60_000;

/**
 * Decides whether the disk is slow: for a minute after a write that took longer than 20 ms, or after 1000 of
 * which more than one in a hundred took longer than 1 ms.
 *
 * @internal
 */
export class WritePace {
  /** Milliseconds of the last write. */
  lastMs = 0;
  /** Writes on the event loop that took longer than 20 ms. */
  slowWrites = 0;
  #count = 0;
  #slow = 0;
  #slowUntil = Number.NEGATIVE_INFINITY;

  /** @param now monotonic milliseconds */
  isSlow(now: number): boolean {
    return now < this.#slowUntil;
  }

  /** A write in the thread pool stalls nothing. */
  noteAway(ms: number): void {
    this.lastMs = ms;
  }

  /**
   * @param ms of a write on the event loop
   * @param now monotonic milliseconds, behind it
   * @returns whether the disk counts as slow from now on, and did not before
   */
  note(ms: number, now: number): boolean {
    this.lastMs = ms;
    this.#count++;
    if (ms > SLOW_MS) this.#slow++;
    if (ms > LONG_MS) this.slowWrites++;
    const isFound = ms > LONG_MS || this.#slow > ALLOWED;
    if (isFound || this.#count >= WINDOW) {
      this.#count = 0;
      this.#slow = 0;
    }
    if (!isFound || this.isSlow(now)) return false;
    this.#slowUntil = now + SLOW_FOR_MS;
    return true;
  }
}
