import type { LedgerLogger } from '../ports/ledger-logger.interface.js';
import type { JournalSync } from '../ports/ledger-settings.interface.js';

/** Longest acceptable write on the event loop. */
const LONG_MS = 20;
/**
 * Of this many writes, one in a hundred may exceed `SLOW_MS`. Source: 0.2 ms is p99.9 beside a busy
 * disk.
 */
const WINDOW = 1000;
const SLOW_MS = 1;
const ALLOWED = WINDOW / 100;
/** The disk then counts as slow for this long. */
const SLOW_FOR_MS = 60_000;

/** Parts for the judgement of writes. @internal */
export interface WritePaceParts {
  readonly sync: JournalSync;
  readonly logger: LedgerLogger;
}

/**
 * Decides whether the disk is slow: for a minute after a write longer than 20 ms, or after 1000
 * writes of which more than one in a hundred took longer than 1 ms. It logs this once a minute.
 *
 * @internal
 */
export class WritePace {
  /** Milliseconds of the last write. */
  lastMs = 0;
  /** Number of writes on the event loop longer than 20 ms. */
  slowWrites = 0;
  #count = 0;
  #slow = 0;
  #slowUntil = Number.NEGATIVE_INFINITY;

  readonly #parts: WritePaceParts;

  constructor(parts: WritePaceParts) {
    this.#parts = parts;
  }

  /**
   * Whether rows are written outside the event loop because of a slow disk. Never with `entry`:
   * that setting makes `record()` wait for the disk, and its users rely on rows being on file on
   * return.
   *
   * @param now monotonic milliseconds
   */
  isAway(now: number): boolean {
    return this.#parts.sync !== 'entry' && now < this.#slowUntil;
  }

  /** Notes a write in the thread pool, which blocks nothing. */
  noteAway(ms: number): void {
    this.lastMs = ms;
  }

  /**
   * @param ms of a write on the event loop
   * @param now monotonic milliseconds after the write
   */
  note(ms: number, now: number): void {
    this.lastMs = ms;
    this.#count++;
    if (ms > SLOW_MS) this.#slow++;
    if (ms > LONG_MS) this.slowWrites++;
    const isFound = ms > LONG_MS || this.#slow > ALLOWED;
    if (isFound || this.#count >= WINDOW) {
      this.#count = 0;
      this.#slow = 0;
    }
    if (!isFound || now < this.#slowUntil) return;
    this.#slowUntil = now + SLOW_FOR_MS;
    this.#tellSlow();
  }

  #tellSlow(): void {
    const { logger, sync } = this.#parts;
    const what =
      sync === 'entry'
        ? "record() waits for it, as journalSync 'entry' demands; 'turn' would write outside the event loop"
        : 'for a minute, entries are written outside the event loop and are on file a moment later';
    const ms = this.lastMs.toFixed(1);
    logger.log(`the disk of the journal is slow (the last write took ${ms} ms): ${what}`);
  }
}
