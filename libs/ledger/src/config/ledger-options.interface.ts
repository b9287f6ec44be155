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

/** TypeORM's PostgreSQL options for a connection of the ledger's own. @publicApi */
export type LedgerConnectionOptions = Omit<PostgresOptions, 'type'> & { type?: 'postgres' };

/** What `forRoot` and a `useFactory` take: settings, and what only code can give. @publicApi */
export interface LedgerOptions extends LedgerSettings {
  /** A connection of the ledger's own: pool of `numWorkers + 2`, 18 with `auto`, opened as they are needed. */
  connection?: LedgerConnectionOptions;
  /** An initialised DataSource to write through. */
  dataSource?: DataSource;
  /**
   * Where batches go instead of PostgreSQL: a sink of your own, made for this ledger, which closes it.
   * No database is needed then. See `nestjs-ledger/sink`.
   */
  sink?: LedgerSink;
  /**
   * A replicated log between gateways and writers, made for this ledger, which closes it: `jetStream({ servers })` of
   * `nestjs-ledger/nats`. Needs `role`.
   */
  stream?: LedgerStream;
  /** Reads back what the sink keeps, or for a gateway what writers wrote. Default: reads reject with `LedgerReadError` (`unavailable`). */
  reader?: UsageReading;
  /** Default: `run` on the ledger's own connection, `verify` on the application's. */
  migrations?: 'run' | 'verify' | 'off';
  /**
   * Wait for the database or the sink at boot, and fail without it, or if its table is not as the
   * definition says. Default: false; the boot goes on, the ledger is `halted` or retries, health says why,
   * and entries are kept until the database is mended.
   */
  connectAtBoot?: boolean;
  /**
   * From `beforeApplicationShutdown` on close connections that are idle or silent, or whose request
   * has come no further for five seconds, and others with their next answer. Default: true.
   */
  closeIdleConnections?: boolean;
  /** `count` (default) answers `invalid`; `throw` throws `LedgerEntryInvalidError`. */
  onInvalid?: 'count' | 'throw';
  /** Retires partitions of `partition: 'day' | 'month'`. Default: none is ever retired. */
  retention?: LedgerRetention;
  /** Told of losses, at most once a second and kind; what it throws is caught and counted. */
  onLoss?: (report: LossReport) => void;
  /**
   * Told of changes of state, at most once a second but for the last ones of a process: those within
   * the second after one are told together, from the state told last to the latest, or not at all if
   * these are the same. What it throws is caught and counted.
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
    /** The numbers to start with, whatever is `auto`. */
    figures: StartingFigures;
    /** Value and source of each setting, for `stats()` and the settings line. */
    settings: Readonly<Record<string, SettingInForce>>;
    /** Legal but unwise values, and unknown names; each a sentence for one warning at start. */
    warnings: readonly string[];
  }
>;
