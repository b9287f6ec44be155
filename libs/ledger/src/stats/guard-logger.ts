import type { LedgerLogger } from './ledger-logger.interface.js';

/**
 * A logger that never throws. The application's own may (a transport that has ended at shutdown,
 * say), and a line that is lost must not take a worker along.
 *
 * @internal
 */
export function guardLogger(logger: LedgerLogger): LedgerLogger {
  const guard =
    (method: keyof LedgerLogger) =>
    (line: string): void => {
      try {
        logger[method](line);
      } catch {
        // Whoever owns the logger must notice; there is no other place to tell it.
      }
    };
  return { log: guard('log'), warn: guard('warn'), error: guard('error') };
}
