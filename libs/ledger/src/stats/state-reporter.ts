import type { Clock } from '../clock/clock.js';
import { callBack } from './call-back.js';
import type { Counters } from './counters.js';
import type { LedgerState } from '../ports/ledger-stats.interface.js';
import type { StateListener } from './status.js';

/** By the contract, changes are reported at most this often. */
const WINDOW_MS = 1000;

interface Change {
  readonly from: LedgerState;
  to: LedgerState;
  reason: string | null;
}

/** Dependencies of the reporter. */
export interface StateReporterParts {
  readonly clock: Clock;
  readonly counters: Counters;
  readonly onState: StateListener | undefined;
}

/**
 * Reports changes of the state to the application, at most once a second: the first at once, those
 * within the next second as one, from the last reported state to the latest.
 *
 * @internal
 */
export class StateReporter {
  readonly #parts: StateReporterParts;
  #change: Change | undefined;
  #isPausing = false;

  constructor(parts: StateReporterParts) {
    this.#parts = parts;
  }

  note(from: LedgerState, to: LedgerState, reason: string | null): void {
    if (this.#parts.onState === undefined) return;
    this.#change ??= { from, to, reason };
    this.#change.to = to;
    this.#change.reason = reason;
    // The process may end within a second of these.
    if (!this.#isPausing || to === 'draining' || to === 'sealed') this.#tell();
  }

  #tell(): void {
    const change = this.#change;
    this.#change = undefined;
    this.#isPausing = change !== undefined;
    if (change === undefined) return;
    this.#parts.clock.after(WINDOW_MS, () => this.#tell());
    if (change.from === change.to) return;
    const { counters, onState } = this.#parts;
    callBack(counters, () => onState?.(change.from, change.to, change.reason));
  }
}
