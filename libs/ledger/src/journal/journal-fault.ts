import type { Clock } from '../clock/clock.js';
import type { LedgerLogger } from '../ports/ledger-logger.interface.js';

/** Pause after a refusal of the file system. Source: contract, journal. */
const REST_MS = 5000;
/** Shortest interval between log lines about faults, by the contract. */
const LINE_MS = 1000;

/** Parts for the report of a fault. @internal */
export interface JournalFaultParts {
  readonly clock: Clock;
  readonly logger: LedgerLogger;
}

/**
 * Whether the journal takes rows, and why not. While it takes none, entries are in memory only.
 *
 * @internal
 */
export class JournalFault {
  /** The cause in words; undefined while the journal takes rows. */
  reason: string | undefined;
  readonly #parts: JournalFaultParts;
  #since = 0;
  #triedAt = 0;
  #toldAt = Number.NEGATIVE_INFINITY;
  /** Whether a retry is in progress. */
  #isHealing = false;

  constructor(parts: JournalFaultParts) {
    this.#parts = parts;
  }

  /** Notes a fault: the journal takes no row until the next try. */
  note(error: unknown): void {
    const { clock, logger } = this.#parts;
    const now = clock.monotonic();
    if (this.reason === undefined && !this.#isHealing) this.#since = now;
    this.reason = reasonOf(error);
    this.#isHealing = false;
    this.#triedAt = now;
    if (now - this.#toldAt < LINE_MS) return;
    this.#toldAt = now;
    logger.error(
      `the journal can't be written (${this.reason}): entries are in memory only, ` +
        'and are lost if the process is killed',
    );
  }

  /** Whether it is time for a retry. @param now monotonic milliseconds */
  isRested(now: number): boolean {
    return this.reason !== undefined && now - this.#triedAt >= REST_MS;
  }

  /** Starts a retry. */
  retry(): void {
    if (this.reason === undefined) return;
    this.reason = undefined;
    this.#isHealing = true;
  }

  /** Ends a successful retry: all rows are on file. */
  heal(): void {
    if (!this.#isHealing) return;
    this.#isHealing = false;
    const { clock, logger } = this.#parts;
    const seconds = ((clock.monotonic() - this.#since) / 1000).toFixed(1);
    logger.log(`the journal can be written again after ${seconds}s`);
  }
}

/** An error's code or name. The message is used only for a full journal. */
function reasonOf(error: unknown): string {
  if (!(error instanceof Error)) return typeof error;
  const { code } = error as NodeJS.ErrnoException;
  return code === 'JOURNAL_FULL' ? error.message : (code ?? error.name);
}
