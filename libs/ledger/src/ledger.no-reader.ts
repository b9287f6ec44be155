import type { LedgerDefinition } from './define-ledger.js';
import { LedgerReadError } from './errors/ledger-read.error.js';
import type { UsageReading } from './ports/usage-reading.interface.js';

/** Reads of a ledger without a reader: each rejects with the option to add. @internal */
export class NoReader implements UsageReading<LedgerDefinition> {
  constructor(private readonly writes: 'to its own sink' | 'to a stream') {}

  async summary(): Promise<never> {
    throw noReader(this.writes);
  }

  async listRecent(): Promise<never> {
    throw noReader(this.writes);
  }

  async *report(): AsyncGenerator<never, void, undefined> {
    yield await this.find();
  }

  async find(): Promise<never> {
    throw noReader(this.writes);
  }
}

function noReader(writes: string): LedgerReadError {
  const rule = `is missing: this ledger writes ${writes}; give the option \`reader\``;
  return new LedgerReadError('unavailable', 'reader', rule);
}
