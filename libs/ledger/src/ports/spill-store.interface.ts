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
  /** Tries the directory: creates it, writes and fsyncs. Rejects if it can't be used. */
  probe(): Promise<void>;
  /**
   * Writes and fsyncs entries; resolves to the file's path. Synchronous file calls are fine: the
   * process is about to end.
   * @throws PartlyWrittenError if only the first of them could be kept; any other error if none was
   */
  spill(entries: Iterable<SpilledEntry>): Promise<{ file: string; entries: number }>;
}
