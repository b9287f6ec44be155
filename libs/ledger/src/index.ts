export type {
  LedgerProfileName,
  LedgerSettings,
  LossReport,
} from './ports/ledger-settings.interface.js';
export type { LedgerRetention, RetiredPartition } from './ports/ledger-retention.interface.js';
export type { WaitOptions, WaitResult } from './channel/awaited-intake.js';
export type { RecordOutcome } from './channel/intake.js';
export { newEntryUuid } from './codec/uuid.js';
export {
  createLedgerConfig,
  ledgerConfig,
  type LedgerConfigFactory,
  type LedgerConfigOptions,
  type LedgerConfiguration,
} from './config/ledger.config.js';
export type { LedgerConnectionOptions, LedgerOptions } from './config/ledger-options.interface.js';
export { LEDGER_PROFILES, type LedgerProfile } from './config/ledger-profiles.js';
export {
  defaultLedger,
  defineLedger,
  type DefinitionOptions,
  type LedgerDefinition,
} from './define-ledger.js';
export type { StoredEntry, UsageEntry } from './entry/usage-entry.interface.js';
export type { DeclaredColumns, LedgerTable } from './entry/ledger-definition.js';
export type { UsageEntryRow } from './postgres/usage-entry.entity.js';
export { isLedgerError } from './errors/is-ledger-error.js';
export { LedgerError, type LedgerErrorCode } from './errors/ledger.error.js';
export { LedgerDefinitionError } from './errors/ledger-definition.error.js';
export { LedgerEntryInvalidError } from './errors/ledger-entry-invalid.error.js';
export { LedgerOptionsError } from './errors/ledger-options.error.js';
export { LedgerReadError } from './errors/ledger-read.error.js';
export {
  LedgerDeadLetteredError,
  LedgerNoCommitError,
  LedgerSealedError,
  LedgerSpilledError,
  LedgerWaitTimeoutError,
  type DeadLetterReason,
} from './errors/wait.errors.js';
export {
  LedgerHealthIndicator,
  type LedgerHealthDetails,
  type LedgerHealthResult,
  type ReadinessPolicy,
} from './health/ledger-health.indicator.js';
export { LedgerInterceptor } from './metering/ledger.interceptor.js';
export { RecordUsage, type UsageDecorator } from './metering/record-usage.decorator.js';
export type {
  DefaultTable,
  RecordUsageOptions,
  UsageCall,
  UsageDraft,
  UsageEnd,
  UsageGuarantee,
  UsageMapper,
} from './metering/usage-call.interface.js';
export { Usage } from './metering/usage.decorator.js';
export { LedgerModule } from './ledger.module.js';
export type { LedgerAsyncOptions, LedgerOptionsFactory } from './ledger.module-definition.js';
export { LedgerService, type FlushReport, type RecordManyResult } from './ledger.service.js';
export { getLedgerHealthToken, getLedgerToken, InjectLedger } from './ledger.tokens.js';
export type {
  EntryFilter,
  RecentEntry,
  RecentPage,
  ReadOptions,
  RecentQuery,
  SummaryQuery,
  UsageSummary,
} from './ports/read-query.interface.js';
export type { ReportQuery, ReportRowOf } from './ports/report-query.interface.js';
export type { ReverseOptions } from './reading/reverse-entry.js';
export type { DeadLetter, LedgerDeadLetterStore } from './ports/dead-letter-store.interface.js';
export type { LedgerState, LedgerStats } from './ports/ledger-stats.interface.js';
export type { FlushListener } from './writer/batch-writer.js';
