export type { MeteredLedger } from '../ledger-metrics.js';
export type { LedgerMetricsOptions } from '../metered-ledgers.js';
export { registerLedgerMetrics } from './register-ledger-metrics.js';
