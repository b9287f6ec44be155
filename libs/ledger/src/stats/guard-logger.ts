import type { LedgerLogger } from '../ports/ledger-logger.interface.js';

/**
 * A logger that never throws. The application's own may (a transport that has ended at shutdown,
 * say), and a line that is lost must not take a worker or a response along.
 *
 * @internal
 */
export function guardLogger(logger: LedgerLogger): LedgerLogger {
  const guard = (log: () => void): void => {
    try {
      log();
    } catch {
      // Whoever owns the logger must notice; there is no other place to tell it.
    }
  };
  return {
    log: (line) => guard(() => logger.log(line)),
    warn: (line) => guard(() => logger.warn(line)),
    error: (...args) => guard(() => logger.error(...args)),
  };
}
