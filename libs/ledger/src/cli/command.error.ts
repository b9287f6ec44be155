/** The command could not do its work: wrong arguments, a database that is away. @internal */
export const EXIT_FAILED = 2;

/** A command can't go on; the message is for the person who gave it, free of secrets. @internal */
export class CommandError extends Error {
  /** @param exitCode of the process */
  constructor(
    message: string,
    readonly exitCode = EXIT_FAILED,
  ) {
    super(message);
    this.name = 'CommandError';
  }
}
