/** A partition that was taken out of the ledger: a plain table now. @publicApi */
export interface RetiredPartition {
  readonly schema: string;
  readonly table: string;
  /** Start of the period, ISO 8601; null for the rows before the table was partitioned. */
  readonly from: string | null;
  /** End of the period, exclusive, ISO 8601. */
  readonly to: string;
}

/** How long entries are kept. @publicApi */
export interface LedgerRetention {
  /** Whole periods before the current one, 1 to 10,000. */
  readonly keep: number;
  /**
   * Takes over a detached table: archive it, then drop it. Called again until it resolves, by one
   * process at a time; ten minutes after a crash, another process calls it. Writing continues
   * meanwhile. Without this function, the table is dropped.
   */
  readonly onRetire?: (partition: RetiredPartition) => void | Promise<void>;
}
