import type { DataSource, DataSourceOptions } from 'typeorm';
import type { LedgerRetention } from '../ports/ledger-retention.interface.js';
import type {
  LedgerProfileName,
  LedgerSettings,
  LossReport,
} from '../ports/ledger-settings.interface.js';
import type { LedgerSink } from '../ports/ledger-sink.interface.js';
import type { LedgerStream } from '../ports/ledger-stream.interface.js';
import type { LedgerState, SettingInForce } from '../ports/ledger-stats.interface.js';
import type { UsageReading } from '../ports/usage-reading.interface.js';
import type { StartingFigures } from './starting-figures.js';

type PostgresOptions = Extract<DataSourceOptions, { type: 'postgres' }>;

/** TypeORM's PostgreSQL options for the ledger's own connection. @publicApi */
export type LedgerConnectionOptions = Omit<PostgresOptions, 'type'> & { type?: 'postgres' };

/**
 * Options of `forRoot` and `useFactory`: the settings, and options that only code can give.
 * @publicApi
 */
export interface LedgerOptions extends LedgerSettings {
  /** The ledger's own connection: a pool of `numWorkers + 2`, 18 with `auto`, opened on demand. */
  connection?: LedgerConnectionOptions;
  /** An initialised DataSource to write through. */
  dataSource?: DataSource;
  /**
   * Your own sink instead of PostgreSQL, created for this ledger, which closes it. No database is
   * needed. See `nestjs-ledger/sink`.
   */
  sink?: LedgerSink;
  /**
   * A replicated log between gateways and writers, created for this ledger, which closes it:
   * `jetStream({ servers })` of `nestjs-ledger/nats` or `kafkaStream({ brokers })` of
   * `nestjs-ledger/kafka`. Needs `role`.
   */
  stream?: LedgerStream;
  /**
   * Reads the sink's store, or on a gateway the entries that writers wrote. Default: reads reject
   * with `LedgerReadError` (`unavailable`).
   */
  reader?: UsageReading;
  /** Default: `run` on the ledger's own connection, `verify` on the application's. */
  migrations?: 'run' | 'verify' | 'off';
  /**
   * Waits for the database or the sink at boot. The boot fails if it is unreachable or if its table
   * does not match the definition. Default: false; the boot continues, the ledger is `halted` or
   * retries, health says why, and entries are kept until the fault is corrected.
   */
  connectAtBoot?: boolean;
  /**
   * From `beforeApplicationShutdown` on, closes connections that are idle or silent or whose
   * request has made no progress for five seconds, and others with their next response. Default:
   * true.
   */
  closeIdleConnections?: boolean;
  /** `count` (default) answers `invalid`; `throw` throws `LedgerEntryInvalidError`. */
  onInvalid?: 'count' | 'throw';
  /** Retires partitions of `partition: 'day' | 'month'`. Default: none is ever retired. */
  retention?: LedgerRetention;
  /** Called on losses, at most once per second and kind. Exceptions are caught and counted. */
  onLoss?: (report: LossReport) => void;
  /**
   * Called on changes of state, at most once a second except at the end of the process. Changes
   * within the second after a call are combined into one, from the last reported state to the
   * latest, and skipped if these are equal. Exceptions are caught and counted.
   */
  onState?: (from: LedgerState, to: LedgerState, reason: string | null) => void;
}

/** Options with every value in force; frozen. @internal */
export type ResolvedLedgerOptions = Readonly<
  Required<Omit<LedgerSettings, 'profile' | 'journalDir'>> & {
    profile: LedgerProfileName | undefined;
    /** Undefined: no journal. */
    journalDir: string | undefined;
    connection: LedgerConnectionOptions | undefined;
    dataSource: DataSource | undefined;
    sink: LedgerSink | undefined;
    stream: LedgerStream | undefined;
    reader: UsageReading | undefined;
    migrations: 'run' | 'verify' | 'off' | undefined;
    connectAtBoot: boolean | undefined;
    closeIdleConnections: boolean;
    onInvalid: 'count' | 'throw';
    retention: LedgerRetention | undefined;
    onLoss: LedgerOptions['onLoss'];
    onState: LedgerOptions['onState'];
    /** The figures to start with, also for `auto`. */
    figures: StartingFigures;
    /** Value and source of each setting, for `stats()` and the log line of settings. */
    settings: Readonly<Record<string, SettingInForce>>;
    /** Warnings at start about valid but unwise values and unknown names; one sentence each. */
    warnings: readonly string[];
  }
>;
