export { LedgerDashboardModule, type LedgerDashboardOptions } from './ledger-dashboard.module.js';
