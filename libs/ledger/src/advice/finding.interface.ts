import type { LedgerSettings } from '../ports/ledger-settings.interface.js';

/**
 * The bottleneck of a ledger: the server, too few workers, the size of batches, the channel's
 * bound, the number of connections, JavaScript's single thread, or the journal's disk.
 *
 * @publicApi
 */
export type Constraint =
  'database' | 'workers' | 'batch' | 'buffer' | 'connections' | 'event-loop' | 'disk';

/** Each rule gives at most one finding. @publicApi */
export type FindingRule =
  | 'entries-dropped'
  | 'callers-waiting'
  | 'rate-below-demand'
  | 'workers-always-busy'
  | 'batches-always-full'
  | 'flushes-slow'
  | 'buffer-below-burst'
  | 'workers-above-limit'
  | 'connections-exhausted'
  | 'event-loop-busy'
  | 'journal-damaged'
  | 'journal-filling'
  | 'journal-slow';

/**
 * `warning`: entries are or will be lost. `notice`: an improvement is possible.
 *
 * @publicApi
 */
export type FindingSeverity = 'warning' | 'notice';

/** A number that shows the finding. @publicApi */
export interface Evidence {
  /** In words: `flush time`. */
  readonly name: string;
  readonly value: number;
  /** `entries`, `entries/s`, `ms`, `s`, `%`, `bytes`, `bytes/s`; empty for a plain count. */
  readonly unit: string;
}

/** Settings that advice may name, in the ledger and outside it. @publicApi */
export type ChangedSetting =
  | Extract<
      keyof LedgerSettings,
      'batchSize' | 'flushMs' | 'bufferSize' | 'bufferMaxBytes' | 'numWorkers'
    >
  | 'max_connections'
  | 'instances';

/** The setting to change and its value. @publicApi */
export interface SettingChange {
  readonly setting: ChangedSetting;
  readonly from: number;
  readonly to: number;
}

/** One possible improvement, its reason and its remedy. Plain JSON. @publicApi */
export interface Finding {
  readonly rule: FindingRule;
  readonly constraint: Constraint;
  readonly severity: FindingSeverity;
  /** The observation, in one clause with its figures. */
  readonly summary: string;
  /** The remedy, in one clause; names the setting and value of `change` if there is one. */
  readonly remedy: string;
  /** Never empty. */
  readonly evidence: readonly Evidence[];
  /** Null if no setting helps; the remedy says what does. */
  readonly change: SettingChange | null;
}

/** Known facts about machine and server; undefined ones are not judged. @publicApi */
export interface AdviceEnvironment {
  /** Cores that this process may use. */
  readonly cores?: number;
  /** The server's `max_connections`. */
  readonly maxConnections?: number;
  /** Connections that this process may open to that server. Default: workers + 2. */
  readonly poolSize?: number;
  /** The ledger's connections that the server currently shows as `active`. */
  readonly activeConnections?: number;
  /** Processes that write to that server. Default 1. */
  readonly instances?: number;
  /** Target rate in entries a second; default: the offered rate. */
  readonly targetRate?: number;
  /** Seconds of the peak rate that the channel should hold. Default 1, the guide's example. */
  readonly burstSeconds?: number;
  /** Share of the time that the event loop was busy, 0 to 1, over about the window. */
  readonly eventLoopUtilization?: number;
}
