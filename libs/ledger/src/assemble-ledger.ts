import { Surroundings } from './advice/surroundings.js';
import { AwaitedIntake } from './channel/awaited-intake.js';
import { Channel } from './channel/channel.js';
import { CommitLine } from './channel/commit-line.js';
import { Intake } from './channel/intake.js';
import { RoomLine } from './channel/room-line.js';
import { RowCodec } from './codec/row-codec.js';
import type { ResolvedLedgerOptions } from './config/ledger-options.interface.js';
import type { LedgerTable } from './entry/ledger-definition.js';
import type { LedgerDeadLetterStore } from './ports/dead-letter-store.interface.js';
import type { LedgerSink } from './ports/ledger-sink.interface.js';
import type { SpillStore } from './ports/spill-store.interface.js';
import { Counters } from './stats/counters.js';
import { guardLogger } from './stats/guard-logger.js';
import type { LedgerLogger } from './ports/ledger-logger.interface.js';
import type { LedgerStats } from './ports/ledger-stats.interface.js';
import { LossReporter } from './stats/loss-reporter.js';
import { readStats } from './writer/read-stats.js';
import { StateReporter } from './stats/state-reporter.js';
import { Status } from './stats/status.js';
import { BatchWriter } from './writer/batch-writer.js';
import type { Clock } from './clock/clock.js';
import { DeadLetterKeeper } from './writer/dead-letter-keeper.js';
import { Dispatcher } from './writer/dispatcher.js';
import { InvalidReporter } from './writer/invalid-reporter.js';
import { Outage } from './writer/outage.js';
import { Settler } from './writer/settler.js';
import { Shutdown } from './writer/shutdown.js';

/**
 * Share of `bufferMaxBytes` that rows of waiting callers may hold beside the channel: 10,000 of
 * them, the default, fit into an eighth of the default unless they are larger than 3 KiB.
 */
const WAITING_SHARE = 1 / 8;

/** What a ledger is assembled from: its definition, its options and the outside world. */
export interface LedgerParts {
  readonly table: LedgerTable;
  readonly options: ResolvedLedgerOptions;
  readonly sink: LedgerSink;
  readonly deadLetters: LedgerDeadLetterStore;
  readonly spills: SpillStore;
  readonly clock: Clock;
  readonly logger: LedgerLogger;
  /** 0 up to 1; default `Math.random`. */
  readonly random?: () => number;
}

/** One ledger's parts, wired together. @internal */
export interface Ledger {
  readonly name: string;
  readonly table: LedgerTable;
  readonly options: ResolvedLedgerOptions;
  readonly counters: Counters;
  readonly intake: Intake;
  readonly awaited: AwaitedIntake;
  readonly writer: BatchWriter;
  readonly shutdown: Shutdown;
  readonly status: Status;
  readonly sink: LedgerSink;
  readonly clock: Clock;
  readonly logger: LedgerLogger;
  readonly stats: () => LedgerStats;
  readonly surroundings: Surroundings;
  /** Milliseconds since 1970 when the oldest unsettled entry was queued; now if there is none. */
  readonly completeUntil: () => number;
}

/** What both sides of the channel share. */
interface Shared {
  readonly parts: LedgerParts;
  readonly counters: Counters;
  readonly codec: RowCodec;
  readonly channel: Channel;
  readonly commits: CommitLine;
  readonly line: RoomLine;
  readonly status: Status;
  readonly losses: LossReporter;
  readonly keeper: DeadLetterKeeper;
  readonly dispatcher: Dispatcher;
}

/** Wires one ledger together. Starts nothing and touches no database. @internal */
export function assembleLedger(given: LedgerParts): Ledger {
  const parts = { ...given, logger: guardLogger(given.logger) };
  const { options, sink, clock, logger } = parts;
  const shared = share(parts, () => intake.admitWaiting());
  const { counters, channel, commits, line, status } = shared;
  const intake = makeIntake(shared);
  const { writer, shutdown } = makeWriter(shared, intake);
  const { blockTimeoutMs, commitTimeoutMs, settings } = options;
  const awaited = new AwaitedIntake({ intake, commits, clock, blockTimeoutMs, commitTimeoutMs });
  const { run } = intake;
  const sources = { counters, channel, line, writer, status, clock, run, settings };
  const stats = (): LedgerStats => readStats(sources);
  return {
    name: parts.table.name,
    table: parts.table,
    options,
    counters,
    intake,
    awaited,
    writer,
    shutdown,
    status,
    sink,
    clock,
    logger,
    stats,
    surroundings: new Surroundings(clock),
    completeUntil: () => clock.now() - stats().oldestEntryAgeMs,
  };
}

function share(parts: LedgerParts, onTaken: () => void): Shared {
  const { options, clock, logger } = parts;
  const { batchSize, flushMs, maxWaiting, bufferMaxBytes, onLoss, onState } = options;
  const counters = new Counters();
  const channel = new Channel({ capacity: options.bufferSize, maxBytes: options.bufferMaxBytes });
  const commits = new CommitLine();
  const line = new RoomLine({ maxWaiting, maxBytes: bufferMaxBytes * WAITING_SHARE }, clock);
  const states = new StateReporter({ clock, counters, onState });
  const isFull = (): boolean => channel.saturation >= 1 || line.waiting > 0;
  return {
    parts,
    counters,
    codec: new RowCodec(parts.table),
    channel,
    commits,
    line,
    status: new Status(
      () => clock.now(),
      (from, to, reason) => states.note(from, to, reason),
    ),
    losses: new LossReporter({ clock, logger, counters, onLoss, isFull }),
    keeper: new DeadLetterKeeper(parts.deadLetters, logger),
    dispatcher: new Dispatcher({ channel, commits, clock, batchSize, flushMs, onTaken }),
  };
}

function makeIntake(shared: Shared): Intake {
  const { parts, codec, channel, line, counters, dispatcher, losses, keeper } = shared;
  const { clock } = parts;
  const invalid = new InvalidReporter({ keeper, losses, clock, fields: codec.fieldNames });
  return new Intake({
    codec,
    channel,
    line,
    counters,
    clock,
    onQueued: () => dispatcher.noteQueued(),
    onDropped: () => losses.note('dropped', 1),
    onRefused: () => losses.note('sealed', 1),
    onInvalid: (fault, entry) => invalid.note(fault, entry),
  });
}

function makeWriter(shared: Shared, intake: Intake): { writer: BatchWriter; shutdown: Shutdown } {
  const { parts, channel, codec, counters, losses, keeper, status, dispatcher } = shared;
  const { options, sink, clock, logger, spills } = parts;
  const { numWorkers, writeTimeoutMs, retryMinMs, retryMaxMs, flushMs } = options;
  const onSettled = (): void => intake.admitWaiting();
  const settler = new Settler({ channel, codec, counters, losses, keeper, clock, onSettled });
  const retry = { minMs: retryMinMs, maxMs: retryMaxMs };
  const outage = new Outage({ clock, retry, random: parts.random ?? Math.random });
  const told = { counters, status, clock, logger };
  const limits = { numWorkers, writeTimeoutMs, retryMaxMs, flushMs };
  const writer = new BatchWriter({
    ...{ channel, dispatcher, outage, settler, sink },
    ...told,
    ...limits,
  });
  const shutdown = new Shutdown({
    ...{ intake, channel, codec, writer, settler, spills, keeper, losses },
    ...told,
    shutdownTimeoutMs: options.shutdownTimeoutMs,
  });
  return { writer, shutdown };
}
