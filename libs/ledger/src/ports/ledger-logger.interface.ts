/** Receives the ledger's log lines; Nest's `Logger` is one. @internal */
export interface LedgerLogger {
  log(line: string): void;
  warn(line: string): void;
  /** @param stack of the error, for a developer */
  error(line: string, stack?: string): void;
}
