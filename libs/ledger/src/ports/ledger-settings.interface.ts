import type { LedgerDeadLetterStore } from './dead-letter-store.interface.js';

/**
 * `auto`: the ledger measures and finds its own figures at any rate. The others are rows of the
 * guide's table, by requests a second.
 *
 * @publicApi
 */
export type LedgerProfileName = 'auto' | 'low' | 'medium' | 'high' | 'very-high' | 'ultra';

/** How batches are written: binary COPY, or INSERT … SELECT FROM unnest. @inline */
export type WriteStrategy = 'copy' | 'insert';

/**
 * What happens when the channel is full. `drop`: an interceptor's entry is dropped. `block`: it
 * waits for room. `disk`: journaled entries that are not next release their memory and are read
 * back later. The channel is then full at `journalMaxBytes`, and `bufferSize` is not a bound; an
 * interceptor's entry without room is dropped.
 *
 * @inline
 */
export type OverflowPolicy = 'drop' | 'block' | 'disk';

/**
 * When the journal writes, and therefore which failure an accepted entry survives.
 *
 * - `turn`: once per turn of the event loop. An entry survives the process from the end of its turn
 *   on.
 * - `entry`: before `record()` returns, so `record()` waits for a slow disk. A recorded entry
 *   survives the process.
 * - `power`: like `turn`, then synced in the background. A `durable` entry survives a loss of
 *   power.
 *
 * @inline
 */
export type JournalSync = 'turn' | 'entry' | 'power';

/** The role of a process if gateways and writers share a stream. @inline */
export type LedgerRole = 'both' | 'gateway' | 'writer';

/** How an entry with an unknown property is treated. @inline */
export type UnknownFieldPolicy = 'count' | 'reject';

/** Entries lost or set aside; reported at most once per second and kind. @publicApi */
export interface LossReport {
  /**
   * `lost`: at the end of the process neither the database nor the disk accepted them, or the
   * journal's folder was removed while they were only on disk.
   */
  readonly kind: 'dropped' | 'invalid' | 'deadLettered' | 'spilled' | 'sealed' | 'lost';
  /** Entries since the last report of this kind. */
  readonly count: number;
  /** When the first of them was counted. */
  readonly since: Date;
  readonly reason?: string;
  readonly sqlState?: string;
}

/** Settings that code, the environment and an INI file can give. @publicApi */
export interface LedgerSettings {
  /**
   * Sets the figures that are not given by name. `auto` sets `batchSize`, `flushMs`, `bufferSize`
   * and `numWorkers` to `auto`; the other profiles set figures for a rate of requests. Default:
   * none.
   */
  profile?: LedgerProfileName;
  /**
   * Maximum entries of a batch, 1 to 100,000; default 100. No batch exceeds 16 MiB. `auto`: all
   * waiting entries, due from 1,500 on, at most 10,000, a quarter of `bufferSize` and a quarter of
   * `bufferMaxBytes`.
   */
  batchSize?: number | 'auto';
  /**
   * Maximum age in ms of the oldest entry before its batch is due, 1 to 3,600,000; default 1000.
   * `auto`: nine times the measured fixed part of a flush, 25 to 1,000 ms; up to 100 ms below
   * 10,000 entries a second.
   */
  flushMs?: number | 'auto';
  /**
   * Maximum entries in the channel, 1 to 10,000,000; default 10,000. With `overflow: 'disk'` it
   * applies only while the journal can't be written, to entries that are not on disk. `auto`: only
   * `bufferMaxBytes` is a bound.
   */
  bufferSize?: number | 'auto';
  /**
   * Batches written in parallel, each on its own connection, 1 to 256; default 1. `auto`: two (one
   * on a single core), and more if a trial under a backlog shows that they write more; at most 16,
   * a tenth of the server's `max_connections`, and half of the application's pool.
   */
  numWorkers?: number | 'auto';
  /** Maximum bytes of memory for waiting rows, 1 MiB to 8 GiB; default 256 MiB. */
  bufferMaxBytes?: number;
  /** Default `copy`; `insert` if the server does not accept COPY. */
  strategy?: WriteStrategy;
  /**
   * What happens when the channel is full. Default `drop`, and `disk` with a journal. `disk` needs
   * a journal.
   */
  overflow?: OverflowPolicy;
  /**
   * An entry with an unknown property: `count` (default) records it without the property, counts it
   * in `stats().unknownFields` and logs each name once; `reject` makes it invalid.
   */
  unknownFields?: UnknownFieldPolicy;
  /** Maximum wait of a caller for room in ms, 1 to 600,000; default 1000. */
  blockTimeoutMs?: number;
  /** Maximum wait of a caller for a commit in ms, 1 to 600,000; default 30,000. */
  commitTimeoutMs?: number;
  /** Maximum number of callers that wait for room; others get `dropped`. Default 10,000. */
  maxWaiting?: number;
  /**
   * Maximum number of reads that wait for a connection, 0 to 100,000; default 100. Further reads
   * reject with `LedgerReadError`, reason `busy`.
   */
  maxWaitingReads?: number;
  /** Ms for one attempt at one batch, 100 to 600,000; default 30,000. */
  writeTimeoutMs?: number;
  /** Ms of the first back-off, 1 to 600,000; default 100. */
  retryMinMs?: number;
  /** Ms of the longest back-off, 1 to 600,000; default 5000. */
  retryMaxMs?: number;
  /** Maximum ms that both shutdown hooks take together, 1 to 600,000; default 10,000. */
  shutdownTimeoutMs?: number;
  /** Where refused entries go; default `table`. */
  deadLetters?: 'table' | 'file' | LedgerDeadLetterStore;
  /** Directory for entries that are left at the drain deadline; default `ledger-spill`. */
  spillDir?: string;
  /**
   * Directory of the journal. Accepted entries are in its files until they are settled, so they
   * survive the process. Many ledgers and processes may share one directory. Default: no journal;
   * `none` switches off one that code gives.
   */
  journalDir?: string;
  /** When the journal writes; default `turn`. */
  journalSync?: JournalSync;
  /**
   * Maximum bytes of this ledger's journal files, in each process; 64 MiB to 1 TiB, default 4 GiB.
   */
  journalMaxBytes?: number;
  /** Ms that settled journal files are kept, 0 to 604,800,000; default 0. */
  journalKeepMs?: number;
  /**
   * Role of this process. `gateway`: accepts entries and publishes them to the stream. It needs no
   * database, and reads reject with `LedgerReadError` (`unavailable`) unless it has a `reader`.
   * `writer`: writes the entries of the stream, and accepts none. `both` (default): accepts and
   * writes entries, without a stream.
   */
  role?: LedgerRole;
  /** Health is degraded from this saturation on, 0 to 1; default 0.8. */
  healthDegradedAt?: number;
  /** Health is down from this saturation on, 0 to 1; default 0.95. */
  healthDownAt?: number;
  /** Health is up again below this saturation, 0 to 1; default 0.6. */
  healthRecoverAt?: number;
}
