/** `column = value` or `column IS NULL`, by which entries are chosen. */
export interface Filter {
  /** As an entry has it. */
  readonly field: string;
  /** Unquoted. */
  readonly column: string;
  readonly type: string;
  /** As PostgreSQL reads it; null chooses the entries that have none. */
  readonly value: string | null;
}

/** Which entries are added up; checked. */
export interface SummaryFilter {
  readonly filters: readonly Filter[];
  readonly from: Date | undefined;
  readonly to: Date | undefined;
}
