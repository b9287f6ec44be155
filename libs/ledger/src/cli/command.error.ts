/** Exit code of a failed command: wrong arguments, an unreachable database. @internal */
export const EXIT_FAILED = 2;

/** A command can't continue. The message is for its user and contains no secrets. @internal */
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
