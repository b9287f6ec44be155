import type { SettingSource } from '../errors/ledger-options.error.js';

/** Why a batch should be written now. `recovered`: its rows are those of an earlier run's journal. @inline */
export type DueReason = 'full' | 'old' | 'awaited' | 'draining' | 'recovered';

/** Batches taken by workers, by the reason they were due; each only grows. @inline */
export type BatchCounts = Readonly<Record<DueReason, number>>;

/** Committed writes; each figure only grows. @inline */
export interface FlushCounts {
  readonly count: number;
  /** Entries in them, duplicates included. */
  readonly entries: number;
  /** Total milliseconds, added up over all workers. */
  readonly ms: number;
}

/**
 * Why an attempt at a batch was repeated.
 *
 * - `connection`: no connection, no answer in time, or the server went away (class 08, 57P, sockets).
 * - `too_many_connections`: the server accepts no more connections (53300).
 * - `resources`: the server has no disk space or memory left (class 53).
 * - `timeout`: the server gave up on a lock or on the statement (55P03, 57014).
 * - `rollback`: a deadlock or a serialization failure (class 40).
 * - `read_only`: the server is a standby, or was made read-only (class 25).
 * - `halted`: the server refuses every batch.
 * - `other`: anything else.
 *
 * @inline
 */
export type RetryClass =
  | 'connection'
  | 'too_many_connections'
  | 'resources'
  | 'timeout'
  | 'rollback'
  | 'read_only'
  | 'halted'
  | 'other';

/** `retries` by class; each only grows. @inline */
export type RetryCounts = Readonly<Record<RetryClass, number>>;

/** Counters of batches. @internal */
export interface WriteCounts {
  readonly batches: BatchCounts;
  readonly flushes: FlushCounts;
  readonly retriesByClass: RetryCounts;
}

/**
 * `starting`: the table has not been reached and checked yet; entries are accepted and kept.
 * `running`: workers write. `halted`: the server refuses every batch; entries are kept, and the
 * first batch is tried again slowly. `draining`: the process stops; entries are accepted and
 * written at once. `sealed`: no more entries are accepted.
 *
 * starting -> running -> halted -> running; any -> draining -> sealed; starting -> halted.
 *
 * @publicApi
 */
export type LedgerState = 'starting' | 'running' | 'halted' | 'draining' | 'sealed';

/** The last batch that was written. @inline */
export interface LastFlush {
  readonly entries: number;
  readonly ms: number;
  readonly entriesPerSecond: number;
  /** Milliseconds since 1970. */
  readonly at: number;
}

/** A setting in force and the source of its value. @inline */
export interface SettingInForce {
  readonly value: string | number | boolean;
  readonly source: SettingSource;
  /** Name of the profile, if it gave the value. */
  readonly profile?: string;
}

/**
 * A trial by `auto` of one more worker under a backlog, alternately with and without it. @inline
 */
export interface AutoTrial {
  /** Number of workers, including the one that was tried. */
  readonly workers: number;
  /** Ratio of entries a second with and without the worker: the median of the turns. */
  readonly ratio: number;
  /** Whether the worker was kept. */
  readonly isKept: boolean;
  /** Milliseconds since 1970 when the trial ended. */
  readonly at: number;
}

/** The figures that `auto` has found. Other figures are as given. @inline */
export interface AutoStats {
  /** Maximum entries of a batch. */
  readonly batch: number;
  /** Maximum age of the oldest entry in milliseconds before its batch is due. */
  readonly delayMs: number;
  /** Number of workers; during a trial, the number of this turn. */
  readonly workers: number;
  /** Reason for these figures, in words. */
  readonly why: string;
  /** Milliseconds since 1970 of the last change of the delay or the number of workers. */
  readonly since: number;
  /** The last trials, at most eight, oldest first. */
  readonly tried: readonly AutoTrial[];
}

/** Counters since the start of the run; each only grows. */
export interface LedgerCounters {
  /** Entries given to `record()`, `recordMany()` or `recordAndWait()`. */
  readonly offered: number;
  /** Entries that were accepted into the channel. */
  readonly queued: number;
  /** Entries of earlier runs that this run took from their journals. */
  readonly recovered: number;
  /** Entries that a writer received from the stream; an unreadable message counts as one. */
  readonly received: number;
  readonly dropped: number;
  readonly sealed: number;
  readonly invalid: number;
  readonly written: number;
  /** Entries of a gateway that the stream acknowledged. Writers write them to the table. */
  readonly published: number;
  readonly duplicate: number;
  readonly deadLettered: number;
  readonly spilled: number;
  /** Repeated attempts at a batch. */
  readonly retries: number;
  /** Dead letters whose uuid exists with other content. */
  readonly conflicts: number;
  /**
   * Part of `written`: entries that the server accepted without an error but did not report as
   * stored. A trigger, a rule or a policy of the table removed or redirected them.
   */
  readonly notStored: number;
  /**
   * Entries that got another uuid, because a foreign row had the uuid that this run generated for
   * them. Each also counts by its outcome.
   */
  readonly renewedUuids: number;
  /** Memos cut at 8 KiB. */
  readonly memoCut: number;
  /** Attributes left out above 8 KiB. */
  readonly attributesDropped: number;
  /** Unknown properties of entries, which were left out. */
  readonly unknownFields: number;
  /** Caught exceptions of `onLoss`, `onState` and listeners of `onFlush`. */
  readonly callbackErrors: number;
  /** Mappers of `@RecordUsage` that threw. */
  readonly mapperErrors: number;
}

/**
 * The journal of this run. `writing`: each turn or entry is on file. `asynchronous`: rows are
 * written in the thread pool and are on file a moment later. This lasts for a minute after a slow
 * write (never with `journalSync: 'entry'`), and after a fault until all rows in memory are on
 * file. `degraded`: files can't be written, entries are in memory only, and `reason` says why.
 *
 * @inline
 */
export interface JournalStats {
  readonly state: 'writing' | 'asynchronous' | 'degraded';
  /** Why the journal is degraded: a code of the file system, or a sentence; null if it is not. */
  readonly reason: string | null;
  /** Of all files of this run. */
  readonly bytes: number;
  readonly files: number;
  /** Of files that earlier runs left for this table and that are not written yet. */
  readonly earlierBytes: number;
  /** Accepted entries that do not yet survive what `journalSync` names. */
  readonly unsyncedRows: number;
  /** Entries of earlier runs that were taken from their journals. */
  readonly recovered: number;
  /**
   * Files of earlier runs that end within a frame. A kill leaves such a file; no durable entry is
   * missing.
   */
  readonly torn: number;
  /**
   * Files of earlier runs whose entries are all settled, but that the file system refuses to
   * delete.
   */
  readonly stuck: number;
  /**
   * Files of earlier runs that are damaged, truncated or unreadable. Entries may be missing. The
   * files are kept, and the log names them.
   */
  readonly damaged: number;
  /** Duration of the last write in milliseconds. */
  readonly lastWriteMs: number;
  /** Writes that blocked the event loop for more than 20 ms. */
  readonly slowWrites: number;
  /**
   * Calls of `@RecordUsage` with the default guarantee that continued before their entry was
   * durable.
   */
  readonly notDurable: number;
}

/**
 * The stream's backlog as this process last saw it. Updated every ten seconds. All processes of one
 * stream see the same.
 *
 * @inline
 */
export interface StreamWaiting {
  /** Unfinished messages, including those that a writer holds now. */
  readonly messages: number;
  readonly bytes: number;
  /** Age of the oldest of them in milliseconds; 0 if there is none. */
  readonly oldestAgeMs: number;
  /** Messages whose columns no running writer has. */
  readonly unread: number;
  /** Milliseconds since 1970 when it was seen. */
  readonly at: number;
}

/** This process's use of its stream. Counters only grow. @inline */
export interface StreamStats {
  readonly role: 'gateway' | 'writer';
  /** Messages of this process that the stream acknowledged. */
  readonly published: number;
  /** Bytes of their payloads. */
  readonly publishedBytes: number;
  /** Total milliseconds of publishing, added up over all messages. */
  readonly publishMs: number;
  /** Messages that this process has taken and not finished. */
  readonly unacknowledged: number;
  /** Messages taken by this process that had been delivered before, to this or another writer. */
  readonly redelivered: number;
  /** Null before the first answer, and while the stream does not answer. */
  readonly waiting: StreamWaiting | null;
}

/**
 * An immutable snapshot. The conservation law holds in each: `offered = queued + dropped + sealed +
 * invalid + waiting` and `queued + recovered + received = written + published + duplicate +
 * deadLettered + spilled + depth + inFlight`. A gateway writes nothing; only a writer of a stream
 * receives.
 *
 * @publicApi
 */
export interface LedgerStats extends LedgerCounters, WriteCounts {
  /** Number of callers that wait for room. */
  readonly waiting: number;
  /** Number of entries in the channel. */
  readonly depth: number;
  /**
   * Entries that a worker has taken and not settled. At the end of a stream's writer this includes
   * entries that it left in the stream.
   */
  readonly inFlight: number;
  /**
   * Capacity of the channel in entries: `bufferSize`. With `overflow: 'disk'` it may hold more.
   * With `auto` an estimate: the number of entries of the current mean size that fit into
   * `bufferMaxBytes`.
   */
  readonly capacity: number;
  /** Encoded bytes of all entries in the channel and in flight. */
  readonly bytes: number;
  /**
   * 0 to 1: by entries or by bytes in memory, whichever is higher. With `overflow: 'disk'` by
   * memory that can't be released, or by `journalMaxBytes`.
   */
  readonly saturation: number;
  /** Age of the oldest unsettled entry in milliseconds; 0 if there is none. */
  readonly oldestEntryAgeMs: number;
  readonly workers: { readonly total: number; readonly busy: number };
  readonly lastFlush: LastFlush | null;
  /** Null unless `batchSize`, `flushMs` or `numWorkers` is `auto`. A writer of a stream tunes none of them. */
  readonly auto: AutoStats | null;
  /** Null without a journal. */
  readonly journal: JournalStats | null;
  /** Null without a stream. */
  readonly stream: StreamStats | null;
  /** This run's random id, eight hex digits; part of every uuid that the run generates. */
  readonly run: string;
  readonly settings: Readonly<Record<string, SettingInForce>>;
  readonly state: LedgerState;
  /**
   * Reason for the state or for the failure of the last attempt, in words; null if there is no
   * fault.
   */
  readonly reason: string | null;
  /** Milliseconds since 1970 when `state` began. */
  readonly since: number;
}
