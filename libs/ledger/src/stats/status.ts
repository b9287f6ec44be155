import type { LedgerState } from '../ports/ledger-stats.interface.js';

/** Called after each change of the state. */
export type StateListener = (from: LedgerState, to: LedgerState, reason: string | null) => void;

/**
 * The ledger's state. `starting`: until the table was reached and checked. `running`: from then on,
 * and after a halt. `halted`: while the server refuses every batch, until one is written.
 * `draining`: from the first shutdown hook on, after any state. `sealed`: from the second on,
 * permanently.
 *
 * @internal
 */
export class Status {
  state: LedgerState = 'starting';
  /** Reason for the state or the last failed attempt; null if there is none. */
  reason: string | null = null;
  /** Milliseconds since 1970 when `state` began. */
  since: number;
  readonly #now: () => number;
  readonly #listener: StateListener;

  constructor(now: () => number, listener: StateListener) {
    this.#now = now;
    this.#listener = listener;
    this.since = now();
  }

  /** Enters a state unless shutdown is already further. */
  enter(to: LedgerState, reason: string | null = null): void {
    if (this.isStopping && to !== 'sealed' && to !== 'draining') {
      this.reason = reason;
      return;
    }
    if (this.state === 'sealed') return;
    this.reason = reason;
    if (this.state === to) return;
    const from = this.state;
    this.state = to;
    this.since = this.#now();
    this.#listener(from, to, reason);
  }

  /** True from the first shutdown hook on. */
  get isStopping(): boolean {
    return this.state === 'draining' || this.state === 'sealed';
  }
}
