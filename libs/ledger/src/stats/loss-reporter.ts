import type { LossReport } from '../ports/ledger-settings.interface.js';
import type { Clock, Timer } from '../clock/clock.js';
import { callBack } from './call-back.js';
import type { Counters } from './counters.js';
import type { LedgerLogger } from '../ports/ledger-logger.interface.js';

/** `late`: spilled because it came after the seal; reported to the application as `spilled`. */
type LossKind = LossReport['kind'] | 'late';

interface Episode {
  count: number;
  /** Milliseconds since 1970, for the application. */
  readonly since: number;
  /** Monotonic milliseconds, for durations: the wall clock may be set meanwhile. */
  readonly startedAt: number;
  reason: string | undefined;
  sqlState: string | undefined;
}

/** Dependencies of the reporter. */
export interface LossReporterParts {
  readonly clock: Clock;
  readonly logger: LedgerLogger;
  readonly counters: Counters;
  readonly onLoss: ((loss: LossReport) => void) | undefined;
  /** Whether the channel is full now. */
  readonly isFull: () => boolean;
}

/** By the contract, losses of one kind are reported at most this often. */
const WINDOW_MS = 1000;

/**
 * Reports losses in the log and to the application, at most once a second and kind, never per
 * entry.
 *
 * @internal
 */
export class LossReporter {
  readonly #parts: LossReporterParts;
  readonly #episodes = new Map<LossKind, Episode>();
  #timer: Timer | undefined;
  #fullSince: number | undefined;
  #droppedWhileFull = 0;

  constructor(parts: LossReporterParts) {
    this.#parts = parts;
  }

  /** Adds lost entries to the next report; costs a map look-up. */
  note(kind: LossKind, count: number, why: { reason?: string; sqlState?: string } = {}): void {
    const episode = this.#episodes.get(kind);
    if (episode === undefined) {
      const { clock } = this.#parts;
      const at = { since: clock.now(), startedAt: clock.monotonic() };
      this.#episodes.set(kind, { count, ...at, reason: why.reason, sqlState: why.sqlState });
    } else {
      episode.count += count;
      // Both belong to the latest loss: a conflict has no SQLSTATE, and must not be reported with
      // another's.
      episode.reason = why.reason;
      episode.sqlState = why.sqlState;
    }
    if (kind === 'dropped') this.#noteFull(count);
    this.#timer ??= this.#parts.clock.after(WINDOW_MS, () => this.#tell());
  }

  /** Counts an entry that came after the seal. @param file that contains it */
  noteLate(file: string): void {
    this.note('late', 1, { reason: file });
  }

  #noteFull(count: number): void {
    this.#fullSince ??= this.#parts.clock.monotonic();
    this.#droppedWhileFull += count;
  }

  /** Reports the remaining losses now, at the end of the process. */
  flush(): void {
    if (this.#timer !== undefined || this.#fullSince !== undefined) this.#tell();
  }

  #tell(): void {
    this.#timer?.cancel();
    this.#timer = undefined;
    const episodes = [...this.#episodes];
    this.#episodes.clear();
    for (const [kind, episode] of episodes) this.#tellOne(kind, episode);
    if (this.#fullSince === undefined) return;
    if (!this.#episodesHad(episodes, 'dropped') && !this.#parts.isFull()) this.#tellRecovered();
    else this.#timer ??= this.#parts.clock.after(WINDOW_MS, () => this.#tell());
  }

  #episodesHad(episodes: readonly (readonly [LossKind, Episode])[], kind: LossKind): boolean {
    return episodes.some(([each]) => each === kind);
  }

  #tellOne(kind: LossKind, episode: Episode): void {
    const { clock, logger, counters, onLoss } = this.#parts;
    const { count, reason, sqlState } = episode;
    const seconds = seconds1(clock.monotonic() - episode.startedAt);
    if (kind === 'dropped') {
      logger.warn(
        `WARNING: channel full, dropping entry (${count} dropped in the last ${seconds}s)`,
      );
    } else if (kind === 'sealed') {
      logger.warn(`WARNING: sealed, refusing entry (${count} refused in the last ${seconds}s)`);
    } else if (kind === 'late') {
      logger.warn(
        `WARNING: sealed, spilling entry (${count} spilled in the last ${seconds}s) to ${reason}`,
      );
    } else if (kind === 'invalid') {
      logger.warn(`WARNING: invalid entry (${count} in the last ${seconds}s), e.g. ${reason}`);
    } else if (kind === 'deadLettered') {
      const state = sqlState === undefined ? '' : `, SQLSTATE ${sqlState}`;
      logger.warn(
        `WARNING: dead-lettered ${count} entries in the last ${seconds}s: ${reason}${state}`,
      );
    }
    const told = kind === 'late' ? 'spilled' : kind;
    const loss = { kind: told, count, since: new Date(episode.since), reason, sqlState };
    callBack(counters, () => onLoss?.(loss));
  }

  #tellRecovered(): void {
    const { clock, logger } = this.#parts;
    const seconds = seconds1(clock.monotonic() - this.#fullSince!);
    logger.log(
      `channel has room again after ${seconds}s, ${this.#droppedWhileFull} entries dropped`,
    );
    this.#fullSince = undefined;
    this.#droppedWhileFull = 0;
  }
}

/** Seconds with one decimal: `1.0`. */
function seconds1(ms: number): string {
  return (ms / 1000).toFixed(1);
}
