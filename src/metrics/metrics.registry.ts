import { Injectable } from '@nestjs/common';
import { LedgerService } from 'nestjs-ledger';
import { registerLedgerMetrics } from 'nestjs-ledger/prometheus';
import { collectDefaultMetrics, Registry } from 'prom-client';

/**
 * The ledger's metrics and those of the process (event loop, memory, garbage collection), in a
 * registry of the application's own: several of them may live in one process.
 */
@Injectable()
export class MetricsRegistry extends Registry {
  constructor(ledger: LedgerService) {
    super();
    registerLedgerMetrics(this, ledger);
    collectDefaultMetrics({ register: this });
  }
}
