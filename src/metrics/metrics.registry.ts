import { Injectable } from '@nestjs/common';
import { LedgerService } from 'nestjs-ledger';
import { registerLedgerMetrics } from 'nestjs-ledger/prometheus';
import { collectDefaultMetrics, Counter, Gauge, Registry } from 'prom-client';
import { PriceBook } from '../prices/price-book.js';

/**
 * The metrics of the ledger, the prices and the process (event loop, memory, garbage collection),
 * in a registry of each application, because several may run in one process.
 */
@Injectable()
export class MetricsRegistry extends Registry {
  constructor(ledger: LedgerService, prices: PriceBook) {
    super();
    registerLedgerMetrics(this, ledger);
    registerPriceMetrics(this, prices);
    collectDefaultMetrics({ register: this });
  }
}

/** Read at a scrape, because the prices count for themselves. */
function registerPriceMetrics(registry: Registry, prices: PriceBook): void {
  const registers = [registry];
  new Counter({
    name: 'gateway_unpriced_calls_total',
    help: 'Charged calls of models without a price; their entries have no cost',
    registers,
    collect() {
      this.reset();
      this.inc(prices.unpricedCalls);
    },
  });
  new Counter({
    name: 'gateway_price_reloads_failed_total',
    help: 'Reloads of GATEWAY_PRICES that were refused; the prices before still hold',
    registers,
    collect() {
      this.reset();
      this.inc(prices.failedReloads);
    },
  });
  new Gauge({
    name: 'gateway_prices_info',
    help: 'Always 1; version of the prices that hold now',
    labelNames: ['version'],
    registers,
    collect() {
      this.reset();
      this.set({ version: prices.version }, 1);
    },
  });
}
