import { Logger } from '@nestjs/common';

/** Nest's logger with a ledger's context: `async-ledger`, or `async-ledger:<name>`. @internal */
export function createLogger({ name }: { readonly name: string }): Logger {
  return new Logger(name === 'default' ? 'async-ledger' : `async-ledger:${name}`);
}
