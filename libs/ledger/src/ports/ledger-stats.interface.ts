import type { SettingSource } from '../errors/ledger-options.error.js';

/** Why a batch should be written now. `recovered`: its rows are those of an earlier run's journal. @inline */
export type DueReason = 'full' | 'old' | 'awaited' | 'draining' | 'recovered';

/** Batches that workers took, by why they were due; each only grows. @inline */
export type BatchCounts = Readonly<Record<DueReason, number>>;

/** Writes that were committed; each figure only grows. @inline */
export interface FlushCounts {
  readonly count: number;
  /** Entries written by them, duplicates included. */
  readonly entries: number;
  /** Milliseconds that they took in all, each worker's time counted for itself. */
  readonly ms: number;
}

/**
 * Why an attempt at a batch was repeated.
 *
 * - `connection`: no connection, no answer in time, or the server went away (class 08, 57P, sockets).
 * - `too_many_connections`: the server takes no more of them (53300).
 * - `resources`: the server has no room on disk or in memory (class 53).
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

/** What was counted of batches up to now. @internal */
export interface WriteCounts {
  readonly batches: BatchCounts;
  readonly flushes: FlushCounts;
  readonly retriesByClass: RetryCounts;
}

/**
 * `starting`: the table has not been reached and checked yet; entries are taken and kept.
 * `running`: workers write. `halted`: the server refuses every batch; entries are kept, the first
 * batch is tried again slowly. `draining`: the process stops, entries are taken and written at
 * once. `sealed`: no more entries are taken.
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

/** A setting in force and where its value came from. @inline */
export interface SettingInForce {
  readonly value: string | number | boolean;
  readonly source: SettingSource;
  /** Name of the profile that the value came from, if one did. */
  readonly profile?: string;
}

/** One more worker that `auto` tried under a backlog, by turns with and without it. @inline */
export interface AutoTrial {
  /** Workers with the one that was tried. */
  readonly workers: number;
  /** Entries a second with it over those without it: the median of the turns. */
  readonly ratio: number;
  /** Whether the worker stayed. */
  readonly isKept: boolean;
  /** Milliseconds since 1970 when the trial ended. */
  readonly at: number;
}

/** The figures that `auto` has found up to now. What is not `auto` is as it was given. @inline */
export interface AutoStats {
  /** Entries of a batch at most. */
  readonly batch: number;
  /** Milliseconds that the oldest entry waits at most before its batch is due. */
  readonly delayMs: number;
  /** Workers; while one more is tried, those of this turn. */
  readonly workers: number;
  /** Why they are as they are, in words. */
  readonly why: string;
  /** Milliseconds since 1970 when the delay or the number of workers changed. */
  readonly since: number;
  /** The last trials, at most eight, oldest first. */
  readonly tried: readonly AutoTrial[];
}

/** Counters since the start of the run; each only grows. */
export interface LedgerCounters {
  /** Entries given to `record()`, `recordMany()` or `recordAndWait()`. */
  readonly offered: number;
  /** Entries that were given a place in the channel. */
  readonly queued: number;
  /** Entries of earlier runs that were taken from their journals, to be written by this one. */
  readonly recovered: number;
  /** Entries of messages that a writer took from the stream; a message that can't be read counts as one. */
  readonly received: number;
  readonly dropped: number;
  readonly sealed: number;
  readonly invalid: number;
  readonly written: number;
  /** Entries that a gateway's stream acknowledged: writers put them into the table. */
  readonly published: number;
  readonly duplicate: number;
  readonly deadLettered: number;
  readonly spilled: number;
  /** Attempts at a batch that were repeated. */
  readonly retries: number;
  /** Dead letters whose uuid was taken by other content. */
  readonly conflicts: number;
  /**
   * Of `written`: entries that the server took without an error and does not report as stored. A
   * trigger, a rule or a policy of the table took them away, or put them elsewhere.
   */
  readonly notStored: number;
  /**
   * Entries that were given another uuid, since somebody had written a row with other content under the one
   * that this run made for them. Each is counted again by its outcome.
   */
  readonly renewedUuids: number;
  /** Memos cut at 8 KiB. */
  readonly memoCut: number;
  /** Attributes left out above 8 KiB. */
  readonly attributesDropped: number;
  /** Properties of entries that are not fields, and were left out. */
  readonly unknownFields: number;
  /** Exceptions thrown by `onLoss`, `onState` or a listener of `onFlush`, caught here. */
  readonly callbackErrors: number;
  /** Mappers of `@RecordUsage` that threw. */
  readonly mapperErrors: number;
}

/**
 * The journal of this run. `writing`: each turn or entry is on file. `asynchronous`: rows are written in the thread
 * pool, and are on file a moment later, for a minute because the disk was slow (never with `journalSync: 'entry'`),
 * or behind a fault until all that was in memory is on file. `degraded`: files can't be written, entries are in
 * memory only, and `reason` says why.
 *
 * @inline
 */
export interface JournalStats {
  readonly state: 'writing' | 'asynchronous' | 'degraded';
  /** Why it is degraded: a code of the file system, or a sentence; null if it is not. */
  readonly reason: string | null;
  /** Of all files of this run. */
  readonly bytes: number;
  readonly files: number;
  /** Of files that earlier runs left for this table, and that are not written into it yet. */
  readonly earlierBytes: number;
  /** Accepted entries that do not yet survive what `journalSync` names. */
  readonly unsyncedRows: number;
  /** Entries of earlier runs that were taken from their journals. */
  readonly recovered: number;
  /** Files of earlier runs that end within a frame. A kill leaves one, and nothing that was durable is missing. */
  readonly torn: number;
  /** Files of earlier runs whose entries are all settled, and that the file system does not let go. */
  readonly stuck: number;
  /**
   * Files of earlier runs that are damaged, end too early or can't be read: entries may be missing. They are
   * kept, and the log names them.
   */
  readonly damaged: number;
  /** Milliseconds of the last write. */
  readonly lastWriteMs: number;
  /** Writes that held up the event loop for longer than 20 ms. */
  readonly slowWrites: number;
  /** Calls of `@RecordUsage` that went on, by the default, before their entry was durable. */
  readonly notDurable: number;
}

/**
 * What waits in a stream, as this process saw it last; it looks every ten seconds. All processes of one stream see
 * the same.
 *
 * @inline
 */
export interface StreamWaiting {
  /** Messages that no writer is done with, those that one has now included. */
  readonly messages: number;
  readonly bytes: number;
  /** Age of the oldest of them in milliseconds; 0 if there is none. */
  readonly oldestAgeMs: number;
  /** Those with columns that no running writer has. */
  readonly unread: number;
  /** Milliseconds since 1970 when it was seen. */
  readonly at: number;
}

/** What this process did with its stream. Counters only grow. @inline */
export interface StreamStats {
  readonly role: 'gateway' | 'writer';
  /** Messages that the stream acknowledged to this process. */
  readonly published: number;
  /** Bytes of their payloads. */
  readonly publishedBytes: number;
  /** Milliseconds that publishing them took in all, each message's time counted for itself. */
  readonly publishMs: number;
  /** Messages that this process took and has not finished. */
  readonly unacknowledged: number;
  /** Messages that this process took and that had been delivered before, to this writer or another. */
  readonly redelivered: number;
  /** Null before the first look, and while the stream does not answer. */
  readonly waiting: StreamWaiting | null;
}

/**
 * An immutable snapshot. The conservation law holds in each:
 * `offered = queued + dropped + sealed + invalid + waiting` and
 * `queued + recovered + received = written + published + duplicate + deadLettered + spilled + depth + inFlight`.
 * A process that publishes writes nothing, and only a process that takes from a stream receives.
 *
 * @publicApi
 */
export interface LedgerStats extends LedgerCounters, WriteCounts {
  /** Callers that wait for room. */
  readonly waiting: number;
  /** Entries in the channel now. */
  readonly depth: number;
  /** Entries taken by a worker and not yet settled; at the end of a writer also those that it left in the stream. */
  readonly inFlight: number;
  /**
   * Entries that the channel may hold: `bufferSize`. With `overflow: 'disk'` it may hold more. With `auto` an
   * estimate: entries of the present mean size that fit into `bufferMaxBytes`.
   */
  readonly capacity: number;
  /** Encoded bytes of all entries in the channel and in flight. */
  readonly bytes: number;
  /**
   * 0 to 1: by entries or by bytes in memory, whichever is more. With `overflow: 'disk'` by memory that can't be given back,
   * or by `journalMaxBytes`.
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
  /** This run's random id, eight hex digits; it is in every uuid the run makes. */
  readonly run: string;
  readonly settings: Readonly<Record<string, SettingInForce>>;
  readonly state: LedgerState;
  /** Why the state or the last attempt is as it is, in words; null if all is well. */
  readonly reason: string | null;
  /** Milliseconds since 1970 when `state` began. */
  readonly since: number;
}
