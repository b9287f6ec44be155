import type { LedgerSettings } from '../ports/ledger-settings.interface.js';

/**
 * What holds a ledger back: the server, too few workers, the size of batches, the channel's bound,
 * the number of connections, the one thread that JavaScript has, or the disk of the journal.
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
 * `warning`: entries are lost, or will be. `notice`: it works, but not as well as it could.
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

/** Settings of the ledger that advice may name, and what lies outside of it. @publicApi */
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

/** One thing that could be better, why, and what to do. Plain JSON. @publicApi */
export interface Finding {
  readonly rule: FindingRule;
  readonly constraint: Constraint;
  readonly severity: FindingSeverity;
  /** What is seen, in one clause with its numbers. */
  readonly summary: string;
  /** What to do, in one clause; it names `change`'s setting and value if there is one. */
  readonly remedy: string;
  /** Never empty. */
  readonly evidence: readonly Evidence[];
  /** Null where no setting helps: the remedy says what does. */
  readonly change: SettingChange | null;
}

/** What is known of machine and server; what is undefined is not judged. @publicApi */
export interface AdviceEnvironment {
  /** Cores that this process may use. */
  readonly cores?: number;
  /** The server's `max_connections`. */
  readonly maxConnections?: number;
  /** Connections that this process may open to that server. Default: workers + 2. */
  readonly poolSize?: number;
  /** Connections of the ledger's that the server shows as `active` now. */
  readonly activeConnections?: number;
  /** Processes that write to that server. Default 1. */
  readonly instances?: number;
  /** Entries a second that the ledger is to take; without it, what it was offered. */
  readonly targetRate?: number;
  /** Seconds of the peak rate that the channel is to hold. Default 1, the guide's example. */
  readonly burstSeconds?: number;
  /** Share of the time that the event loop was busy, 0 to 1, over about the window. */
  readonly eventLoopUtilization?: number;
}
