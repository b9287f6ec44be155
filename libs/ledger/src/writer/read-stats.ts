import type { Channel } from '../channel/channel.js';
import type { RoomLine } from '../channel/room-line.js';
import { formatRun } from '../codec/uuid.js';
import type { BatchWriter } from './batch-writer.js';
import type { Clock } from '../clock/clock.js';
import type { Counters } from '../stats/counters.js';
import type { LedgerStats, SettingInForce } from '../ports/ledger-stats.interface.js';
import type { Status } from '../stats/status.js';

/** Where a snapshot is read from. */
export interface StatsSources {
  readonly counters: Counters;
  readonly channel: Channel;
  readonly line: RoomLine;
  readonly writer: BatchWriter;
  readonly status: Status;
  readonly clock: Clock;
  readonly run: number;
  readonly settings: Readonly<Record<string, SettingInForce>>;
}

/** Takes an immutable snapshot; all of it in one turn, so the conservation law holds in it. */
export function readStats(sources: StatsSources): LedgerStats {
  const { counters, channel, line, writer, status, run, settings } = sources;
  return Object.freeze({
    ...counters,
    waiting: line.waiting,
    depth: channel.depth,
    inFlight: channel.inFlight,
    capacity: channel.capacity,
    bytes: channel.bytes,
    saturation: channel.saturation,
    oldestEntryAgeMs: Math.round(oldestAgeMs(sources)),
    workers: Object.freeze({ total: writer.numWorkers, busy: writer.busyWorkers }),
    lastFlush: writer.lastFlush,
    ...writer.tally.snapshot(),
    run: formatRun(run),
    settings,
    state: status.state,
    reason: status.reason,
    since: status.since,
  });
}

function oldestAgeMs({ channel, writer, clock }: StatsSources): number {
  const now = clock.monotonic();
  return now - Math.min(channel.oldestAt ?? now, writer.oldestInFlightAt ?? now);
}
