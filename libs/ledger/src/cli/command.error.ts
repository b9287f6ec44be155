/** A command can't go on; the message is for the person who gave it, free of secrets. @internal */
export class CommandError extends Error {
  constructor(message: string) {
    super(message);
    this.name = 'CommandError';
  }
}
