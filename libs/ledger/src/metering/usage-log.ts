import { systemClock, type Clock } from '../clock/clock.js';
import { createLogger } from '../nest/create-logger.js';
import { guardLogger } from '../stats/guard-logger.js';
import type { LedgerLogger } from '../ports/ledger-logger.interface.js';

/** Milliseconds between two lines of one kind. Source: the contract's "at most once a second". */
const QUIET_MS = 1000;

/** Logs faults of mappers: one line per second and kind, with the number of lines left out. */
export class UsageLog {
  private readonly logger: LedgerLogger;
  private readonly kinds = new Map<string, { at: number; unheard: number }>();

  /** @param ledger name of the ledger; `default` is left out of the log context */
  constructor(
    ledger: string,
    private readonly clock: Pick<Clock, 'monotonic'> = systemClock,
  ) {
    this.logger = guardLogger(createLogger({ name: ledger }));
  }

  /** A mapper threw or returned a promise. @param handler `Controller.method` */
  mapperFailed(handler: string, error: unknown): void {
    this.tell('mapper', `mapper of ${handler} failed: ${textOf(error)}`, error);
  }

  /** An entry did not reach its guarantee, or was invalid; the ledger counts it. */
  notGuaranteed(handler: string, error: unknown): void {
    this.tell('guarantee', `WARNING: usage of ${handler}: ${textOf(error)}`);
  }

  /** A method was called on an object that belongs to no application. @param handler `Class.method` */
  notNest(handler: string): void {
    this.logger.warn(
      `WARNING: @RecordUsage on ${handler} recorded nothing: the object was not created by Nest, or its ` +
        'ledger did not exist yet; provide its class in a module, and call it after the boot',
    );
  }

  private tell(kind: string, line: string, error?: unknown): void {
    const now = this.clock.monotonic();
    const last = this.kinds.get(kind);
    if (last && now - last.at < QUIET_MS) {
      last.unheard += 1;
      return;
    }
    const more = last && last.unheard > 0 ? ` (${last.unheard} more since the last line)` : '';
    this.kinds.set(kind, { at: now, unheard: 0 });
    const stack = error instanceof Error ? error.stack : undefined;
    if (stack) this.logger.error(line + more, stack);
    else this.logger.warn(line + more);
  }
}

function textOf(error: unknown): string {
  return error instanceof Error ? `${error.name}: ${error.message}` : `a thrown ${typeof error}`;
}
