import type { Clock } from '../clock/clock.js';
import type { LedgerLogger } from '../ports/ledger-logger.interface.js';

/** A file system that refused is left alone for so long. Source: contract, journal. */
const REST_MS = 5000;
/** Faults are told at most this often, by the contract. */
const LINE_MS = 1000;

/** What a fault needs to report itself. @internal */
export interface JournalFaultParts {
  readonly clock: Clock;
  readonly logger: LedgerLogger;
}

/**
 * Whether the journal takes rows, and why not. While it does not, entries are in memory only.
 *
 * @internal
 */
export class JournalFault {
  /** In words; undefined while the journal takes rows. */
  reason: string | undefined;
  readonly #parts: JournalFaultParts;
  #since = 0;
  #triedAt = 0;
  #toldAt = Number.NEGATIVE_INFINITY;
  /** A try is under way. */
  #isHealing = false;

  constructor(parts: JournalFaultParts) {
    this.#parts = parts;
  }

  /** The journal takes no row until it is tried again. */
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
        'and are lost if the process ends by force',
    );
  }

  /** Whether it is time for another try. @param now monotonic milliseconds */
  isRested(now: number): boolean {
    return this.reason !== undefined && now - this.#triedAt >= REST_MS;
  }

  /** Another try begins. */
  retry(): void {
    if (this.reason === undefined) return;
    this.reason = undefined;
    this.#isHealing = true;
  }

  /** All rows are on file. */
  heal(): void {
    if (!this.#isHealing) return;
    this.#isHealing = false;
    const { clock, logger } = this.#parts;
    const seconds = ((clock.monotonic() - this.#since) / 1000).toFixed(1);
    logger.log(`the journal can be written again after ${seconds}s`);
  }
}

/** Messages of the file system hold paths, which the operator needs; what else is thrown has a name. */
function reasonOf(error: unknown): string {
  if (!(error instanceof Error)) return typeof error;
  const { code } = error as NodeJS.ErrnoException;
  return code === 'JOURNAL_FULL' ? error.message : (code ?? error.name);
}
