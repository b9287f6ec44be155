/** Each further entry point, to check its types against the installed peers. */
import { metrics } from '@opentelemetry/api';
import { LedgerDashboardModule } from 'nestjs-ledger/dashboard';
import { registerLedgerMetrics as registerMeters } from 'nestjs-ledger/opentelemetry';
import { registerLedgerMetrics } from 'nestjs-ledger/prometheus';
import { createRowReader } from 'nestjs-ledger/sink';
import { defaultLedger, type LedgerService } from 'nestjs-ledger';
import { Registry } from 'prom-client';

export { LedgerDashboardModule };

/** Columns of a row, as a sink of one's own would see them. */
export function columnsOfRow(): string[] {
  return createRowReader(defaultLedger).columns.map(({ column }) => column);
}

/** What a scrape would get. */
export function scrape(ledger: LedgerService): Promise<string> {
  registerMeters(metrics.getMeter('matrix'), ledger);
  const registry = new Registry();
  registerLedgerMetrics(registry, ledger);
  return registry.metrics();
}
