import type { LedgerDefinition } from './define-ledger.js';
import { LedgerReadError } from './errors/ledger-read.error.js';
import type { UsageReading } from './ports/usage-reading.interface.js';

/** Reads of a ledger whose sink nobody reads back: each rejects and says what to give. @internal */
export class NoReader implements UsageReading<LedgerDefinition> {
  async summary(): Promise<never> {
    throw noReader();
  }

  async listRecent(): Promise<never> {
    throw noReader();
  }

  async *report(): AsyncGenerator<never, void, undefined> {
    yield await this.find();
  }

  async find(): Promise<never> {
    throw noReader();
  }
}

function noReader(): LedgerReadError {
  const rule = 'is missing: this ledger writes to a sink of its own; give the option `reader`';
  return new LedgerReadError('unavailable', 'reader', rule);
}
