/** An entry left behind when the process must stop. @internal */
export interface SpilledEntry {
  readonly uuid: string;
  /** True if an attempt with unknown outcome held it: it may also be in the table. */
  readonly mayExist: boolean;
  readonly attempts: number;
  /** Milliseconds since 1970. */
  readonly queuedAt: number;
  /** As plain JSON. */
  readonly entry: Readonly<Record<string, unknown>>;
}

/** Files that take entries at the drain deadline. @internal */
export interface SpillStore {
  /**
   * Tries the directory: creates it, writes and fsyncs. Rejects if it can't be used.
   *
   * @returns what others can do to files there; undefined: nothing
   */
  probe(): Promise<string | undefined>;
  /**
   * Writes and fsyncs entries; resolves to the file's path. Synchronous file calls are fine: the
   * process is about to end.
   * @throws PartlyWrittenError if only the first of them could be kept; any other error if none was
   */
  spill(entries: Iterable<SpilledEntry>): Promise<{ file: string; entries: number }>;
}

/** Rows of consecutive entries, as COPY bytes. @internal */
export interface SpilledRows {
  /** Whole rows back to back. A row may not begin in one slice and end in the next. */
  readonly slices: readonly Uint8Array[];
  /** 1 or more. */
  readonly count: number;
  /** Position in the run of the first row: 0 for its first entry. */
  readonly position: number;
}

/**
 * Takes rows, as bytes, at once: what comes after the seal, and what is held when the process exits.
 * Bytes that were handed to the file system survive the process, though not a loss of power.
 *
 * @internal
 */
export interface RowSpill {
  /** @returns the file that holds the rows; undefined if no file takes them. Never throws. */
  keep(rows: SpilledRows): string | undefined;
  /** Finishes the file that is open; the next rows begin another. Never throws. */
  close(): void;
}
