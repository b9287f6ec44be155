/** The file system refused some lines; the lines before them are kept. @internal */
export class PartlyWrittenError extends Error {
  /** The file system's code, such as `ENOSPC`. */
  readonly code: string | undefined;

  constructor(
    /** Lines that are kept, 1 or more. */
    readonly lines: number,
    /** The file of the first of them. */
    readonly file: string,
    cause: unknown,
  ) {
    super(`only ${lines} lines could be written`, { cause });
    this.code = (cause as NodeJS.ErrnoException).code;
  }
}
