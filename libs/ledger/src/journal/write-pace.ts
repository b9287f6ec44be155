/** A write on the event loop must not be longer than this. */
const LONG_MS = 20;
/** Of so many writes one in a hundred may be above `SLOW_MS`. Source: 0.2 ms is p99.9 beside a busy disk. */
const WINDOW = 1000;
const SLOW_MS = 1;
const ALLOWED = WINDOW / 100;
/** So long writes go to the thread pool then. */
const AWAY_MS = 60_000;

/**
 * Decides whether writes may be made on the event loop: not for a minute after one that took longer than
 * 20 ms, or after 1000 of which more than one in a hundred took longer than 1 ms.
 *
 * @internal
 */
export class WritePace {
  /** Milliseconds of the last write. */
  lastMs = 0;
  #count = 0;
  #slow = 0;
  #awayUntil = Number.NEGATIVE_INFINITY;

  /** @param now monotonic milliseconds */
  isAway(now: number): boolean {
    return now < this.#awayUntil;
  }

  /** A write in the thread pool stalls nothing. */
  noteAway(ms: number): void {
    this.lastMs = ms;
  }

  /** @param ms of a write on the event loop @param now monotonic milliseconds, behind it */
  note(ms: number, now: number): void {
    this.lastMs = ms;
    this.#count++;
    if (ms > SLOW_MS) this.#slow++;
    if (ms > LONG_MS || this.#slow > ALLOWED) {
      this.#awayUntil = now + AWAY_MS;
      this.#count = WINDOW;
    }
    if (this.#count < WINDOW) return;
    this.#count = 0;
    this.#slow = 0;
  }
}
