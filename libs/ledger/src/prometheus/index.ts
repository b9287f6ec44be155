export type { MeteredLedger } from '../metrics/ledger-metrics.js';
export type { LedgerMetricsOptions } from '../metrics/metered-ledgers.js';
export { registerLedgerMetrics } from './register-ledger-metrics.js';
