/** An entry that is left at the drain deadline. @internal */
export interface SpilledEntry {
  readonly uuid: string;
  /** True if an attempt with an unknown outcome included it: it may also be in the table. */
  readonly mayExist: boolean;
  readonly attempts: number;
  /** Milliseconds since 1970. */
  readonly queuedAt: number;
  /** As plain JSON. */
  readonly entry: Readonly<Record<string, unknown>>;
}

/** Files for entries that are left at the drain deadline. @internal */
export interface SpillStore {
  /**
   * Tries the directory: creates it, writes and fsyncs. Rejects if it can't be used.
   *
   * @returns how other users could access files there; undefined: not at all
   */
  probe(): Promise<string | undefined>;
  /**
   * Writes and fsyncs entries; resolves to the file's path. May use synchronous file calls, because
   * the process is about to end.
   * @throws PartlyWrittenError if only the first entries could be written; any other error if none
   * was
   */
  spill(entries: Iterable<SpilledEntry>): Promise<{ file: string; entries: number }>;
}

/** Rows of consecutive entries, as COPY bytes. @internal */
export interface SpilledRows {
  /** Whole rows back to back. A row never crosses two slices. */
  readonly slices: readonly Uint8Array[];
  /** 1 or more. */
  readonly count: number;
  /** Position in the run of the first row: 0 for its first entry. */
  readonly position: number;
}

/**
 * Writes rows as bytes, synchronously: rows after the seal, and rows that are held when the process
 * exits. The bytes survive the process, but not a loss of power.
 *
 * @internal
 */
export interface RowSpill {
  /** @returns the file with the rows; undefined if they could not be written. Never throws. */
  keep(rows: SpilledRows): string | undefined;
  /** Finishes the open file; the next rows begin another. Never throws. */
  close(): void;
}
