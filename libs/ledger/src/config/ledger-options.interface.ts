import type { DataSource, DataSourceOptions } from 'typeorm';
import type { LedgerDeadLetterStore } from '../sink/dead-letter-store.interface.js';
import type { LedgerState, SettingInForce } from '../stats/ledger-stats.interface.js';

type PostgresOptions = Extract<DataSourceOptions, { type: 'postgres' }>;

/** TypeORM's PostgreSQL options for a connection of the ledger's own. @publicApi */
export type LedgerConnectionOptions = Omit<PostgresOptions, 'type'> & { type?: 'postgres' };

/** Rows of the guide's table, by requests a second. @publicApi */
export type LedgerProfileName = 'low' | 'medium' | 'high' | 'very-high' | 'ultra';

/** How batches are written: binary COPY, or INSERT … SELECT FROM unnest. @publicApi */
export type WriteStrategy = 'copy' | 'insert';

/** What happens to an interceptor's entry when the channel is full. @publicApi */
export type OverflowPolicy = 'drop' | 'block';

/** Entries lost or set aside; told at most once a second and kind. @publicApi */
export interface LossReport {
  readonly kind: 'dropped' | 'invalid' | 'deadLettered' | 'spilled' | 'sealed';
  /** Entries since the last report of this kind. */
  readonly count: number;
  /** When the first of them was counted. */
  readonly since: Date;
  readonly reason?: string;
  readonly sqlState?: string;
}

/** Settings that the environment and an INI file can give too. @publicApi */
export interface LedgerSettings {
  profile?: LedgerProfileName;
  batchSize?: number;
  flushMs?: number;
  bufferSize?: number;
  numWorkers?: number;
  bufferMaxBytes?: number;
  strategy?: WriteStrategy;
  overflow?: OverflowPolicy;
  blockTimeoutMs?: number;
  commitTimeoutMs?: number;
  maxWaiting?: number;
  writeTimeoutMs?: number;
  retryMinMs?: number;
  retryMaxMs?: number;
  shutdownTimeoutMs?: number;
  deadLetters?: 'table' | 'file' | LedgerDeadLetterStore;
  spillDir?: string;
  healthDegradedAt?: number;
  healthDownAt?: number;
  healthRecoverAt?: number;
}

/** What `forRoot` and a `useFactory` take: settings, and what only code can give. @publicApi */
export interface LedgerOptions extends LedgerSettings {
  /** A connection of the ledger's own: pool of `numWorkers + 2`. */
  connection?: LedgerConnectionOptions;
  /** An initialised DataSource to write through. */
  dataSource?: DataSource;
  /** Default: `run` on the ledger's own connection, `verify` on the application's. */
  migrations?: 'run' | 'verify' | 'off';
  /** Wait for the database at boot and fail without it. Default: false on the own connection. */
  connectAtBoot?: boolean;
  /** Close idle keep-alive connections from `beforeApplicationShutdown` on. Default: true. */
  closeIdleConnections?: boolean;
  /** `count` (default) answers `invalid`; `throw` throws `LedgerEntryInvalidError`. */
  onInvalid?: 'count' | 'throw';
  onLoss?: (report: LossReport) => void;
  onState?: (from: LedgerState, to: LedgerState, reason: string | null) => void;
}

/** Options with every value in force; frozen. @internal */
export type ResolvedLedgerOptions = Readonly<
  Required<Omit<LedgerSettings, 'profile'>> & {
    profile: LedgerProfileName | undefined;
    connection: LedgerConnectionOptions | undefined;
    dataSource: DataSource | undefined;
    migrations: 'run' | 'verify' | 'off' | undefined;
    connectAtBoot: boolean | undefined;
    closeIdleConnections: boolean;
    onInvalid: 'count' | 'throw';
    onLoss: LedgerOptions['onLoss'];
    onState: LedgerOptions['onState'];
    /** Value and source of each setting, for `stats()` and the settings line. */
    settings: Readonly<Record<string, SettingInForce>>;
    /** Legal but unwise values, and unknown names; each a sentence for one warning at start. */
    warnings: readonly string[];
  }
>;
