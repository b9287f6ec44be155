import type { LedgerLogger } from '../ports/ledger-logger.interface.js';
import type { Status } from '../stats/status.js';
import type { Clock } from '../clock/clock.js';

/**
 * Reports failed attempts: in the state, and in the log once when the trouble begins and once when
 * it ends, never per attempt.
 *
 * @internal
 */
export class TroubleReporter {
  readonly #status: Status;
  readonly #logger: LedgerLogger;
  readonly #clock: Clock;
  #since: number | undefined;
  /**
   * Reasons reported since the trouble began, so that alternating reasons are reported once each.
   */
  readonly #told = new Set<string>();

  constructor(status: Status, logger: LedgerLogger, clock: Clock) {
    this.#status = status;
    this.#logger = logger;
    this.#clock = clock;
  }

  failed(error: unknown, isHalt: boolean): void {
    const reason = reasonOf(error);
    this.#since ??= this.#clock.monotonic();
    if (isHalt) this.#status.enter('halted', reason);
    else this.#status.reason = reason;
    const line = `${isHalt ? 'halted' : 'writing fails'}: ${reason}; entries are kept, trying again`;
    if (this.#told.has(line)) return;
    this.#told.add(line);
    this.#logger.error(line);
  }

  /** The server accepted a batch, or refused it because of a row. */
  reached(): void {
    this.#status.enter('running');
    if (this.#since === undefined) return;
    const seconds = ((this.#clock.monotonic() - this.#since) / 1000).toFixed(1);
    this.#since = undefined;
    this.#told.clear();
    this.#logger.log(`writing again after ${seconds}s`);
  }
}

/**
 * Texts of the ledger's errors contain no user values; of other errors only the name is reported.
 */
function reasonOf(error: unknown): string {
  if (!(error instanceof Error)) return 'an unknown failure';
  return 'isLedgerError' in error ? error.message : `unexpected ${error.name}`;
}
