import type { LedgerLogger } from '../ports/ledger-logger.interface.js';

/**
 * A logger that never throws. The application's logger may throw, for example if its transport has
 * ended at shutdown, and a lost line must not affect a worker or a response.
 *
 * @internal
 */
export function guardLogger(logger: LedgerLogger): LedgerLogger {
  const guard = (log: () => void): void => {
    try {
      log();
    } catch {
      // The owner of the logger must notice the error; there is no other place to report it.
    }
  };
  return {
    log: (line) => guard(() => logger.log(line)),
    warn: (line) => guard(() => logger.warn(line)),
    error: (...args) => guard(() => logger.error(...args)),
  };
}
