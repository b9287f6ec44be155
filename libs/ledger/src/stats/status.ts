import type { LedgerState } from '../ports/ledger-stats.interface.js';

/** Told of each change of the state. */
export type StateListener = (from: LedgerState, to: LedgerState, reason: string | null) => void;

/**
 * The ledger's state. `starting`: from the beginning until the table was reached and checked.
 * `running`: entered when it was, or when a halt ends. `halted`: entered when the server refuses
 * every batch, left when one is written. `draining`: entered by the first shutdown hook, whatever
 * was before. `sealed`: entered by the second, never left.
 *
 * @internal
 */
export class Status {
  state: LedgerState = 'starting';
  /** Why the state, or the last attempt, is as it is; null if all is well. */
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

  /** Goes to a state unless shutdown has gone further already. */
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
