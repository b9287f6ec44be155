export type {
  LedgerProfileName,
  LedgerSettings,
  LossReport,
  OverflowPolicy,
  UnknownFieldPolicy,
  JournalSync,
  WriteStrategy,
} from './ports/ledger-settings.interface.js';
export type { LedgerRetention, RetiredPartition } from './ports/ledger-retention.interface.js';
export type {
  RetryClass,
  BatchCounts,
  FlushCounts,
  JournalStats,
  RetryCounts,
  DueReason,
} from './ports/ledger-stats.interface.js';
export { adviseLedger } from './advice/advise-ledger.js';
export type {
  AdviceEnvironment,
  ChangedSetting,
  Constraint,
  Evidence,
  Finding,
  FindingRule,
  FindingSeverity,
  SettingChange,
} from './advice/finding.interface.js';
export {
  StatsWindow,
  summarizeWindow,
  type StatsSample,
  type WindowFacts,
} from './advice/stats-window.js';
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
export type {
  ColumnInput,
  ColumnOutput,
  Direction,
  EntryFields,
  IdInput,
  NoUnknownFields,
  StoredEntry,
  UsageEntry,
} from './entry/usage-entry.interface.js';
export type {
  ColumnType,
  DeclaredColumns,
  IdType,
  LedgerTable,
  PartitionPeriod,
} from './entry/ledger-definition.js';
export type { UsageEntryRow } from './postgres/usage-entry.entity.js';
export { isLedgerError } from './errors/is-ledger-error.js';
export { LedgerError, type LedgerErrorCode } from './errors/ledger.error.js';
export { LedgerDefinitionError } from './errors/ledger-definition.error.js';
export { LedgerEntryInvalidError } from './errors/ledger-entry-invalid.error.js';
export {
  LedgerOptionsError,
  type OptionsFault,
  type SettingSource,
} from './errors/ledger-options.error.js';
export { LedgerReadError, type ReadFailure } from './errors/ledger-read.error.js';
export {
  LedgerDeadLetteredError,
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
  ExactMapper,
  MappedEntries,
  UsageMapper,
} from './metering/usage-call.interface.js';
export { Usage } from './metering/usage.decorator.js';
export { LedgerModule } from './ledger.module.js';
export type {
  LedgerAsyncOptions,
  LedgerModuleExtras,
  LedgerOptionsFactory,
} from './ledger.module-definition.js';
export { LedgerService, type FlushReport, type RecordManyResult } from './ledger.service.js';
export {
  getLedgerHealthToken,
  getLedgerToken,
  InjectLedger,
  type NamedLedger,
} from './ledger.tokens.js';
export type { MigrationConstructor } from './migrations/ledger-migrations.js';
export type {
  DimensionField,
  EntryFilter,
  FilterFields,
  RecentEntry,
  RecentPage,
  RecentPaging,
  ReadOptions,
  RecentQuery,
  SummaryFields,
  SummaryQuery,
  UsageSummary,
} from './ports/read-query.interface.js';
export type {
  ReportDimension,
  ReportFigures,
  ReportGroup,
  ReportQuery,
  ReportRow,
  ReportRowOf,
} from './ports/report-query.interface.js';
export type { ReverseOptions } from './reading/reverse-entry.js';
export type { DeadLetter, LedgerDeadLetterStore } from './ports/dead-letter-store.interface.js';
export type {
  LastFlush,
  LedgerCounters,
  LedgerState,
  LedgerStats,
  SettingInForce,
} from './ports/ledger-stats.interface.js';
export type { FlushListener } from './writer/batch-writer.js';
export type { Clock, Timer } from './clock/clock.js';
