import type { LedgerTable } from '../entry/ledger-definition.js';
import { ledgerCommand, migrateCommand } from '../entry/ledger-command.js';
import { DeadlineError } from '../clock/deadline.js';
import { readPgError } from '../postgres/read-pg-error.js';
import type { LedgerLogger } from '../ports/ledger-logger.interface.js';
import type { Clock, Timer } from '../clock/clock.js';
import { QUERY_CANCELED } from './rollup-fold.js';
import type { PassOutcome, PassResult } from './rollup-pass.js';

/** What the schedule works with. @internal */
export interface RollupScheduleParts {
  readonly pass: { run(): Promise<PassResult> };
  readonly clock: Clock;
  readonly logger: LedgerLogger;
  /** Names the table, and the commands for it, in warnings. */
  readonly definition: LedgerTable;
  /** Entries that this process has written so far. */
  readonly written: () => number;
}

/** Milliseconds between two passes, half of it up to half more, so that instances spread. */
const INTERVAL_MS = 5_000;
/**
 * While many entries are written. What no fold has taken in is read row by row, so the sooner the
 * better; a look takes milliseconds, and how long folds rest they say themselves.
 */
const BUSY_MS = 2_000;
/** While there is more to fold than one pass takes in. */
const BEHIND_MS = 100;
/** Milliseconds between two passes of a ledger in which nothing happens, at most. */
const IDLE_MS = 60_000;
/** After a fold that did not end in time: the server is to have rest from it, as after others. */
const SLOW_MS = 180_000;
/** After an answer that only a person can change. */
const BLOCKED_MS = 600_000;

/** SQLSTATEs: no such table, column or schema; no permission. */
const BLOCKED = ['42P01', '42703', '3F000', '42501'];
const BLOCKED_OUTCOMES: readonly PassOutcome[] = ['other-dimensions', 'hidden-rows', 'no-indexes'];

/**
 * Runs passes in the background, one at a time, on a timer that does not hold the process. If nothing
 * is to be done they become rare, up to one a minute, until this process writes again.
 *
 * New -> running (`start`) -> stopped (`stop`); starting or stopping twice does nothing.
 *
 * @internal
 */
export class RollupSchedule {
  readonly #parts: RollupScheduleParts;
  #timer: Timer | undefined;
  #isStopped = false;
  #isTroubled = false;
  #hasWarned = false;
  #written = 0;
  /** Monotonic milliseconds; entries that this process wrote come into reach until then. */
  #busyUntil = Number.NEGATIVE_INFINITY;
  #idleMs = 0;
  #idleUntil = Number.NEGATIVE_INFINITY;

  constructor(parts: RollupScheduleParts) {
    this.#parts = parts;
  }

  start(): void {
    if (this.#timer === undefined && !this.#isStopped) this.#plan(INTERVAL_MS);
  }

  /** No pass begins any more; one that runs ends with its connection. */
  stop(): void {
    this.#isStopped = true;
    this.#timer?.cancel();
  }

  #plan(ms: number): void {
    if (this.#isStopped) return;
    const delayMs = ms * (0.5 + Math.random());
    this.#timer = this.#parts.clock.after(delayMs, () => void this.#run());
  }

  async #run(): Promise<void> {
    if (this.#isIdle()) return this.#plan(INTERVAL_MS);
    let nextMs = INTERVAL_MS;
    try {
      const { outcome, isBehind, isBusy } = await this.#parts.pass.run();
      this.#isTroubled = false;
      this.#noteIdle(outcome === 'idle');
      if (BLOCKED_OUTCOMES.includes(outcome)) nextMs = this.#tellBlocked(outcome);
      else if (isBehind) nextMs = BEHIND_MS;
      else if (isBusy) nextMs = BUSY_MS;
    } catch (error) {
      if (!this.#isStopped) nextMs = this.#tell(error);
    }
    this.#plan(nextMs);
  }

  /** True: the server need not be asked, since nothing was to be done of late. */
  #isIdle(): boolean {
    const { clock, written } = this.#parts;
    const now = clock.monotonic();
    if (written() !== this.#written) {
      this.#written = written();
      this.#busyUntil = now + IDLE_MS;
    }
    return now >= this.#busyUntil && now < this.#idleUntil;
  }

  #noteIdle(isIdle: boolean): void {
    this.#idleMs = isIdle ? Math.min(IDLE_MS, Math.max(INTERVAL_MS, this.#idleMs * 2)) : 0;
    this.#idleUntil = this.#parts.clock.monotonic() + this.#idleMs;
  }

  #tell(error: unknown): number {
    const { code, text } = readPgError(error);
    if (code !== undefined && BLOCKED.includes(code)) return this.#tellBlocked(code);
    const isSlow = code === QUERY_CANCELED || error instanceof DeadlineError;
    if (!this.#isTroubled) {
      const rebuild = ledgerCommand('rollup --rebuild', this.#parts.definition);
      const remedy = isSlow ? `; if it goes on, run \`${rebuild}\`` : '';
      this.#parts.logger.warn(
        `WARNING: rollups are not moved on at the moment (${text}); reads stay exact${remedy}`,
      );
    }
    this.#isTroubled = true;
    return isSlow ? SLOW_MS : INTERVAL_MS;
  }

  #tellBlocked(reason: string): number {
    const { definition } = this.#parts;
    if (!this.#hasWarned) {
      this.#parts.logger.warn(
        `WARNING: this role does not move the rollups of ${definition.table} on (${reason}): ` +
          'reads stay exact, but slower; let the owner of the table run ' +
          `\`${ledgerCommand('rollup', definition)}\` regularly, ` +
          `after \`${migrateCommand(definition)}\``,
      );
    }
    this.#hasWarned = true;
    return BLOCKED_MS;
  }
}
