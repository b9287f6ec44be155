import type { LedgerDeadLetterStore } from './dead-letter-store.interface.js';

/**
 * `auto`: the ledger measures, and finds its own figures at any rate. The others are rows of the guide's table, by
 * requests a second.
 *
 * @publicApi
 */
export type LedgerProfileName = 'auto' | 'low' | 'medium' | 'high' | 'very-high' | 'ultra';

/** How batches are written: binary COPY, or INSERT … SELECT FROM unnest. @inline */
export type WriteStrategy = 'copy' | 'insert';

/**
 * What happens when the channel is full. `drop`, `block`: what becomes of an interceptor's entry. `disk`: entries
 * that are in the journal and not next give their memory back, and are read back later. Then the channel is
 * full at `journalMaxBytes`, and `bufferSize` is no bound; an interceptor's entry that finds no room is dropped.
 *
 * @inline
 */
export type OverflowPolicy = 'drop' | 'block' | 'disk';

/**
 * When the journal writes, named by what an accepted entry survives.
 *
 * - `turn`: once an event-loop turn. An entry survives the process from the end of its turn on.
 * - `entry`: before `record()` returns, which waits for a slow disk. An entry survives the process from then on.
 * - `power`: as `turn`, then synced in the background. A `durable` entry survives a loss of power.
 *
 * @inline
 */
export type JournalSync = 'turn' | 'entry' | 'power';

/** What a process does where gateways and writers share a stream. @inline */
export type LedgerRole = 'both' | 'gateway' | 'writer';

/** What happens to an entry with a property that is not a field. @inline */
export type UnknownFieldPolicy = 'count' | 'reject';

/** Entries lost or set aside; told at most once a second and kind. @publicApi */
export interface LossReport {
  /**
   * `lost`: at the end of the process neither the database nor the disk took them, or somebody removed the journal's
   * folder while they were on disk only.
   */
  readonly kind: 'dropped' | 'invalid' | 'deadLettered' | 'spilled' | 'sealed' | 'lost';
  /** Entries since the last report of this kind. */
  readonly count: number;
  /** When the first of them was counted. */
  readonly since: Date;
  readonly reason?: string;
  readonly sqlState?: string;
}

/** Settings that the environment and an INI file can give too. @publicApi */
export interface LedgerSettings {
  /**
   * Figures for what is not given by name: `auto` sets `batchSize`, `flushMs`, `bufferSize` and `numWorkers` to
   * `auto`, the others to those of a rate of requests. Default: none.
   */
  profile?: LedgerProfileName;
  /**
   * Entries of a batch at most, 1 to 100,000; default 100. No batch is above 16 MiB. `auto`: what waits,
   * due from 1,500 entries on, at most 10,000, a quarter of `bufferSize` and a quarter of `bufferMaxBytes`.
   */
  batchSize?: number | 'auto';
  /**
   * Ms that the oldest entry waits at most, 1 to 3,600,000; default 1000. `auto`: nine times the fixed part of a
   * flush as it was measured, 25 to 1,000 ms; up to 100 ms where fewer than 10,000 entries a second come.
   */
  flushMs?: number | 'auto';
  /**
   * Entries that the channel holds at most, 1 to 10,000,000; default 10,000. With `overflow: 'disk'` it bounds only
   * entries that are not on disk, while the journal can't be written. `auto`: only `bufferMaxBytes` is a bound.
   */
  bufferSize?: number | 'auto';
  /**
   * Batches written at once, each on its own connection, 1 to 256; default 1. `auto`: two (one on a single core), and
   * more where a trial under a backlog shows that they write more: at most 16, a tenth of the server's
   * `max_connections`, and half of the application's pool.
   */
  numWorkers?: number | 'auto';
  /** Bytes of memory for waiting rows at most, 1 MiB to 8 GiB; default 256 MiB. */
  bufferMaxBytes?: number;
  /** Default `copy`; `insert` where the server takes no COPY. */
  strategy?: WriteStrategy;
  /** What happens when the channel is full; default `drop`, with a journal `disk`, which needs one. */
  overflow?: OverflowPolicy;
  /**
   * An entry with a property that is not a field: `count` (default) records it without that, counts it in
   * `stats().unknownFields` and logs each name once; `reject` makes it invalid.
   */
  unknownFields?: UnknownFieldPolicy;
  /** Ms that a caller waits for room at most, 1 to 600,000; default 1000. */
  blockTimeoutMs?: number;
  /** Ms that a caller waits for a commit at most, 1 to 600,000; default 30,000. */
  commitTimeoutMs?: number;
  /** Callers that may wait for room at once; above it the answer is `dropped`. Default 10,000. */
  maxWaiting?: number;
  /**
   * Reads that may wait for a connection at once, 0 to 100,000; default 100. Above it a read rejects with
   * `LedgerReadError`, reason `busy`.
   */
  maxWaitingReads?: number;
  /** Ms for one attempt at one batch, 100 to 600,000; default 30,000. */
  writeTimeoutMs?: number;
  /** Ms of the first back-off, 1 to 600,000; default 100. */
  retryMinMs?: number;
  /** Ms of the longest back-off, 1 to 600,000; default 5000. */
  retryMaxMs?: number;
  /** Ms that both shutdown hooks take together at most, 1 to 600,000; default 10,000. */
  shutdownTimeoutMs?: number;
  /** Where refused entries go; default `table`. */
  deadLetters?: 'table' | 'file' | LedgerDeadLetterStore;
  /** Directory for what is left at the drain deadline; default `ledger-spill`. */
  spillDir?: string;
  /**
   * Directory of the journal: accepted entries are in its files until they are settled, and survive the
   * process. One directory may serve many ledgers and processes. Default: no journal; `none` switches off one
   * that code gives.
   */
  journalDir?: string;
  /** When the journal writes; default `turn`. */
  journalSync?: JournalSync;
  /** Bytes of this ledger's journal files at most, in each process; 64 MiB to 1 TiB, default 4 GiB. */
  journalMaxBytes?: number;
  /** Ms that journal files are kept once settled, 0 to 604,800,000; default 0. */
  journalKeepMs?: number;
  /**
   * What this process does. `gateway`: it accepts entries and publishes them to the stream; it needs no database, and
   * reads reject with `LedgerReadError` (`unavailable`) unless it has a `reader`. `writer`: it writes what it takes from the
   * stream, and accepts no entries. `both` (default): it writes what it accepts, without a stream.
   */
  role?: LedgerRole;
  /** Saturation from which health is degraded, 0 to 1; default 0.8. */
  healthDegradedAt?: number;
  /** Saturation from which health is down, 0 to 1; default 0.95. */
  healthDownAt?: number;
  /** Saturation below which health is up again, 0 to 1; default 0.6. */
  healthRecoverAt?: number;
}
