import { adviseLedger } from '../advice/advise-ledger.js';
import type { AdviceEnvironment, Finding } from '../advice/finding.interface.js';
import { StatsWindow } from '../advice/stats-window.js';
import type { LedgerStats } from '../ports/ledger-stats.interface.js';

/** Findings stay unchanged for this many milliseconds, so that they can be read. */
const ADVISE_MS = 5000;

/** Advice about one ledger, from the last minute of looks at it. @internal */
export class FeedAdviser {
  readonly #window = new StatsWindow();
  readonly #environment: () => AdviceEnvironment;
  #findings: readonly Finding[] = [];
  #advisedAt = Number.NEGATIVE_INFINITY;

  /** @param environment called each time findings are made */
  constructor(environment: () => AdviceEnvironment) {
    this.#environment = environment;
  }

  /** @param elapsed monotonic milliseconds; @returns worst first */
  advise(elapsed: number, stats: LedgerStats): readonly Finding[] {
    this.#window.add(elapsed, stats);
    if (elapsed - this.#advisedAt >= ADVISE_MS) {
      this.#advisedAt = elapsed;
      this.#findings = adviseLedger(this.#window.samples, this.#environment());
    }
    return this.#findings;
  }
}
