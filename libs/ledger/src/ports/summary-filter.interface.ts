/** A condition on entries: `column = value` or `column IS NULL`. */
export interface Filter {
  /** As an entry has it. */
  readonly field: string;
  /** Unquoted. */
  readonly column: string;
  readonly type: string;
  /** In PostgreSQL's text format; null selects entries without a value. */
  readonly value: string | null;
}

/** The entries to add up; checked. */
export interface SummaryFilter {
  readonly filters: readonly Filter[];
  readonly from: Date | undefined;
  readonly to: Date | undefined;
}
