import type { Clock } from '../clock/clock.js';
import { isLedgerError } from '../errors/is-ledger-error.js';
import type { LedgerLogger } from '../ports/ledger-logger.interface.js';

/**
 * Logs when the stream can't be read, and when it can be read again; never per attempt.
 *
 * @internal
 */
export class StreamTrouble {
  /** The reason why no message arrives, without users' values; undefined if there is none. */
  reason: string | undefined;
  #since: number | undefined;

  constructor(
    private readonly logger: LedgerLogger,
    private readonly clock: Clock,
  ) {}

  failed(error: unknown): void {
    const reason = isLedgerError(error) ? error.message : 'an unexpected failure';
    const isNew = this.reason !== reason;
    this.reason = reason;
    this.#since ??= this.clock.monotonic();
    if (isNew) this.logger.error(`taking from the stream fails: ${reason}; trying again`);
  }

  reached(): void {
    if (this.#since === undefined) return;
    const seconds = ((this.clock.monotonic() - this.#since) / 1000).toFixed(1);
    this.reason = undefined;
    this.#since = undefined;
    this.logger.log(`taking from the stream again after ${seconds}s`);
  }
}
