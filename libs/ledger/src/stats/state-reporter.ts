import type { Clock } from '../clock/clock.js';
import { callBack } from './call-back.js';
import type { Counters } from './counters.js';
import type { LedgerState } from '../ports/ledger-stats.interface.js';
import type { StateListener } from './status.js';

/** Changes are told at most this often, by the contract. */
const WINDOW_MS = 1000;

interface Change {
  readonly from: LedgerState;
  to: LedgerState;
  reason: string | null;
}

/** What the reporter counts in and calls. */
export interface StateReporterParts {
  readonly clock: Clock;
  readonly counters: Counters;
  readonly onState: StateListener | undefined;
}

/**
 * Tells the application of changes of the state, at most once a second: the first at once, those
 * within the second after it as one, from the state told last to the latest.
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
    // The process may be gone within a second of these.
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
