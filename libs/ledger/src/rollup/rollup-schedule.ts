import type { Clock, Timer } from '../clock/clock.js';
import { DeadlineError } from '../clock/deadline.js';
import { ledgerCommand } from '../entry/ledger-command.js';
import type { LedgerTable } from '../entry/ledger-definition.js';
import type { LedgerLogger } from '../ports/ledger-logger.interface.js';
import { readPgError } from '../postgres/read-pg-error.js';
import { QUERY_CANCELED } from './refresh-rollups.js';
import type { RefreshOutcome, RefreshResult } from './rollup-refresher.js';

/** Dependencies of the schedule. @internal */
export interface RollupScheduleParts {
  readonly refresher: { refresh(): Promise<RefreshResult> };
  readonly clock: Clock;
  readonly logger: LedgerLogger;
  /** For the table's name, and its commands, in warnings. */
  readonly definition: LedgerTable;
  /** The `schema` of the connection, used in commands; known once a connection was lent. */
  readonly connectionSchema?: () => string | undefined;
  /** Entries that this process has written so far. */
  readonly written: () => number;
}

/** Milliseconds between two refreshes, varied by up to half, so that instances spread. */
const INTERVAL_MS = 5_000;
/** While many entries are written, because rows above the watermark are read one by one. */
const BUSY_MS = 2_000;
/** While there is more to add than one refresh can. */
const BEHIND_MS = 100;
/** Maximum, while idle or paused. */
const IDLE_MS = 60_000;
/** After a refresh that did not end in time, so that the server rests like after others. */
const SLOW_MS = 180_000;
/** After a result that only a person can change. */
const BLOCKED_MS = 600_000;

/** SQLSTATEs: no such table, column or schema; no permission. */
const BLOCKED = ['42P01', '42703', '3F000', '42501'];
const UNDEFINED_TABLE = '42P01';
const BLOCKED_OUTCOMES: readonly RefreshOutcome[] = [
  'other-dimensions',
  'hidden-rows',
  'no-indexes',
];

/**
 * Refreshes rollups in the background, one refresh at a time, on a timer that does not keep the
 * process alive. While there is nothing to do the interval grows up to a minute, until this process
 * writes again.
 *
 * New -> running (`start`) -> stopped (`stop`); starting or stopping twice has no effect.
 *
 * @internal
 */
export class RollupSchedule {
  readonly #parts: RollupScheduleParts;
  readonly #warned = new Set<string>();
  #timer: Timer | undefined;
  #isStopped = false;
  #isTroubled = false;
  #written = 0;
  /** Monotonic milliseconds until which entries of this process fall below the watermark. */
  #busyUntil = Number.NEGATIVE_INFINITY;
  #idleMs = 0;
  #idleUntil = Number.NEGATIVE_INFINITY;

  constructor(parts: RollupScheduleParts) {
    this.#parts = parts;
  }

  start(): void {
    if (this.#timer === undefined && !this.#isStopped) this.#plan(INTERVAL_MS);
  }

  /** No further refresh begins; a running one ends with its connection. */
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
      nextMs = this.#pauseAfter(await this.#parts.refresher.refresh());
      this.#isTroubled = false;
    } catch (error) {
      if (!this.#isStopped) nextMs = this.#report(error);
    }
    this.#plan(nextMs);
  }

  #pauseAfter({ outcome, isBehind, isBusy }: RefreshResult): number {
    this.#noteIdle(outcome === 'idle');
    if (BLOCKED_OUTCOMES.includes(outcome)) return this.#reportBlocked(outcome);
    if (outcome === 'paused') return this.#reportPaused();
    if (isBehind) return BEHIND_MS;
    return isBusy === true ? BUSY_MS : INTERVAL_MS;
  }

  /** True if there was nothing to do recently, so the server is not asked. */
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

  #report(error: unknown): number {
    const { definition, logger } = this.#parts;
    const { code, text } = readPgError(error);
    // Rollups that the definition does not request may be dropped at any time, and made again.
    if (code === UNDEFINED_TABLE && !definition.rollup) return BLOCKED_MS;
    if (code !== undefined && BLOCKED.includes(code)) return this.#reportBlocked(code);
    const isSlow = code === QUERY_CANCELED || error instanceof DeadlineError;
    if (!this.#isTroubled) {
      const rebuild = this.#command('rollup --rebuild');
      const remedy = isSlow ? `; if this goes on, run \`${rebuild}\`` : '';
      logger.warn(
        `WARNING: rollups are not refreshed at the moment (${text}); reads stay exact${remedy}`,
      );
    }
    this.#isTroubled = true;
    return isSlow ? SLOW_MS : INTERVAL_MS;
  }

  #reportPaused(): number {
    const { definition } = this.#parts;
    this.#warnOnce(
      `rollups of ${definition.table} are paused: reads stay exact, but slower, until ` +
        `\`${this.#command('rollup --rebuild')}\``,
    );
    return IDLE_MS;
  }

  #reportBlocked(reason: string): number {
    const { definition } = this.#parts;
    this.#warnOnce(
      `this process can't refresh the rollups of ${definition.table} (${reason}): reads stay exact, ` +
        `but slower; let the owner of the table run \`${this.#command('migrate')}\`, and then ` +
        `\`${this.#command('rollup')}\` regularly`,
    );
    return BLOCKED_MS;
  }

  #command(command: string): string {
    const { definition, connectionSchema } = this.#parts;
    return ledgerCommand(command, definition, connectionSchema?.());
  }

  #warnOnce(text: string): void {
    if (this.#warned.has(text)) return;
    this.#warned.add(text);
    this.#parts.logger.warn(`WARNING: ${text}`);
  }
}
