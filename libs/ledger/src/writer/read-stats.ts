import type { Handoff } from '../channel/handoff.js';
import { formatRun } from '../codec/uuid.js';
import type { BatchWriter } from './batch-writer.js';
import type { Clock } from '../clock/clock.js';
import type { Journal } from '../journal/journal.js';
import type { Counters } from '../stats/counters.js';
import type {
  AutoStats,
  JournalStats,
  LedgerStats,
  SettingInForce,
  StreamStats,
} from '../ports/ledger-stats.interface.js';
import type { BatchSource, RecoverySource } from './batch-source.interface.js';
import type { Status } from '../stats/status.js';

/** Sources of a snapshot. */
export interface StatsSources {
  readonly counters: Counters;
  readonly handoff: Handoff;
  /** The source of batches if it is not the channel. */
  readonly foreign?: Pick<BatchSource, 'held'> | undefined;
  readonly journal: Journal | undefined;
  readonly writer: BatchWriter;
  /** Undefined if no figure is `auto`. */
  readonly auto: { readonly stats: AutoStats } | undefined;
  readonly recovery: RecoverySource | undefined;
  /** Undefined without a stream. */
  readonly stream: { readonly stats: StreamStats } | undefined;
  readonly status: Status;
  readonly clock: Clock;
  readonly run: number;
  readonly settings: Readonly<Record<string, SettingInForce>>;
}

/** Takes an immutable snapshot in one turn, so that it satisfies the conservation law. */
export function readStats(sources: StatsSources): LedgerStats {
  const { counters, handoff, foreign, writer, auto, recovery, stream } = sources;
  const { status, run, settings } = sources;
  const { channel, room } = handoff;
  return Object.freeze({
    ...counters,
    waiting: room.waiting,
    depth: channel.depth,
    inFlight: channel.inFlight + (recovery?.inFlight ?? 0) + (foreign?.held ?? 0),
    capacity: channel.usualCapacity,
    bytes: channel.bytes,
    saturation: channel.saturation,
    oldestEntryAgeMs: Math.round(oldestAgeMs(sources)),
    workers: Object.freeze({ total: writer.numWorkers, busy: writer.busyWorkers }),
    lastFlush: writer.lastFlush,
    auto: auto?.stats ?? null,
    journal: journalStats(sources),
    stream: stream?.stats ?? null,
    ...writer.tally.snapshot(),
    run: formatRun(run),
    settings,
    state: status.state,
    reason: status.reason,
    since: status.since,
  });
}

function journalStats({ journal, handoff, counters, recovery }: StatsSources): JournalStats | null {
  if (journal === undefined) return null;
  const { state, reason = null, bytes, files, earlierBytes, pace } = journal;
  const { lastMs: lastWriteMs, slowWrites } = pace;
  return Object.freeze({
    state,
    reason,
    bytes,
    files,
    earlierBytes,
    unsyncedRows: Math.max(0, handoff.channel.tail - journal.durableUntil),
    recovered: counters.recovered,
    torn: recovery?.torn ?? 0,
    stuck: recovery?.stuck ?? 0,
    damaged: recovery?.damaged ?? 0,
    lastWriteMs,
    slowWrites,
    notDurable: handoff.notDurable,
  });
}

function oldestAgeMs({ handoff, writer, clock }: StatsSources): number {
  const now = clock.monotonic();
  return now - Math.min(handoff.channel.oldestAt ?? now, writer.oldestInFlightAt ?? now);
}
