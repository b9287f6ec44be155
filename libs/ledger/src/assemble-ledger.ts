import { Surroundings } from './advice/surroundings.js';
import { assembleCore, assembleHandoff, type CoreParts, type LedgerCore } from './assemble-core.js';
import { assembleIntake } from './assemble-intake.js';
import {
  assembleTuning,
  assembleWriter,
  channelSource,
  untunedFigures,
} from './assemble-writer.js';
import type { AwaitedIntake } from './channel/awaited-intake.js';
import type { Handoff } from './channel/handoff.js';
import { OpenCalls } from './channel/open-calls.js';
import type { Intake } from './channel/intake.js';
import type { Clock } from './clock/clock.js';
import type { ResolvedLedgerOptions } from './config/ledger-options.interface.js';
import type { LedgerTable } from './entry/ledger-definition.js';
import type { Journal } from './journal/journal.js';
import type { LedgerLogger } from './ports/ledger-logger.interface.js';
import type { LedgerSink } from './ports/ledger-sink.interface.js';
import type { LedgerStats } from './ports/ledger-stats.interface.js';
import type { RowSpill, SpillStore } from './ports/spill-store.interface.js';
import type { Counters } from './stats/counters.js';
import type { Status } from './stats/status.js';
import type { BatchSource, RecoverySource } from './writer/batch-source.interface.js';
import type { AutoTuning, ReadUtilization } from './writer/auto-tuning.js';
import type { BatchWriter } from './writer/batch-writer.js';
import { readStats } from './writer/read-stats.js';
import type { ExitSpill } from './writer/exit-spill.js';
import type { StreamFigures } from './stream/stream-figures.js';
import type { Shutdown } from './writer/shutdown.js';

/** The inputs of a ledger: its definition, its options and the outside world. */
export interface LedgerParts extends CoreParts {
  readonly sink: LedgerSink;
  readonly spills: SpillStore;
  /**
   * Takes rows that arrive after the seal and rows still held at an exit. Default: none; late
   * entries are refused, held rows are lost.
   */
  readonly rowSpill?: RowSpill;
  /** How rows count once the sink has accepted them; default: `written`. */
  readonly taken?: 'written' | 'published';
  /**
   * Creates the source of batches. The channel is then sealed, and every entry is refused. Default:
   * the channel is the source.
   */
  readonly source?: (core: LedgerCore) => BatchSource;
  /** Counts the messages of a stream; default: there is no stream. */
  readonly stream?: StreamFigures;
  /** Creates the journal; default: accepted rows are in memory only. */
  readonly journal?: (handoff: Handoff, logger: LedgerLogger) => Journal;
  /** Creates the recovery of journals of earlier runs; default: none. */
  readonly recovery?: (core: LedgerCore) => RecoverySource;
  /** 0 up to 1; default `Math.random`. */
  readonly random?: () => number;
  /** Of the event loop; default: Node's own. */
  readonly utilization?: ReadUtilization;
}

/** One ledger's parts, wired together. @internal */
export interface Ledger {
  readonly name: string;
  readonly table: LedgerTable;
  readonly options: ResolvedLedgerOptions;
  readonly counters: Counters;
  readonly handoff: Handoff;
  /** Undefined: accepted rows are in memory only. */
  readonly journal: Journal | undefined;
  readonly intake: Intake;
  readonly awaited: AwaitedIntake;
  readonly openCalls: OpenCalls;
  readonly writer: BatchWriter;
  /** Undefined: no figure is `auto`, or batches come from a stream. */
  readonly auto: AutoTuning | undefined;
  readonly shutdown: Shutdown;
  readonly exit: ExitSpill;
  /** Undefined: there is no journal. */
  readonly recovery: RecoverySource | undefined;
  readonly status: Status;
  readonly source: BatchSource;
  readonly sink: LedgerSink;
  readonly clock: Clock;
  /** Never throws. */
  readonly logger: LedgerLogger;
  readonly stats: () => LedgerStats;
  readonly surroundings: Surroundings;
  /** Milliseconds since 1970 when the oldest unsettled entry was queued; now if there is none. */
  readonly completeUntil: () => number;
}

/**
 * Wires one ledger with both halves in one process: first the interface between them, then the
 * shared parts, then each half. Starts nothing and touches no database.
 *
 * @internal
 */
export function assembleLedger(parts: LedgerParts): Ledger {
  const { table, options, clock, sink, spills, rowSpill, random = Math.random } = parts;
  const handoff = assembleHandoff(options, clock, rowSpill);
  const core = assembleCore(parts, () => handoff.isFull);
  const { counters, status, logger } = core;
  const journal = parts.journal?.(handoff, logger);
  if (journal !== undefined) handoff.keep(journal, options.overflow === 'disk');
  const { intake, awaited } = assembleIntake(core, handoff, parts.taken);
  const recovery = parts.recovery?.(core);
  const foreign = parts.source?.(core);
  if (foreign !== undefined) handoff.seal();
  const dispatcher = foreign === undefined ? channelSource(core, handoff, recovery) : undefined;
  const source = foreign ?? dispatcher!;
  // A journaled row is replayed under its first uuid, so it never gets another one.
  const isOwnUnanswered = (row: Buffer): boolean =>
    journal === undefined && intake.knownUuids.isOwnUnanswered(row);
  const ends = {
    source,
    taken: parts.taken,
    recovery,
    journal,
    sink,
    spills,
    rowSpill: handoff.late,
  };
  const openCalls = new OpenCalls();
  const outputs = { ...ends, openCalls, random, isOwnUnanswered };
  const half = assembleWriter(core, outputs);
  const { writer, shutdown, exit } = half;
  // Messages are taken from a stream as fast as they can be written. There is no delay and no
  // backlog to measure.
  const auto = dispatcher && assembleTuning(core, dispatcher, half, parts);
  const { run } = intake;
  const { settings } = options;
  const working = { handoff, foreign, journal, writer, recovery, stream: parts.stream };
  const figures = dispatcher === undefined ? untunedFigures(core, half) : auto;
  const sources = { ...working, auto: figures, counters, status, clock, run, settings };
  const stats = (): LedgerStats => readStats(sources);
  return {
    name: table.name,
    table,
    options,
    counters,
    handoff,
    journal,
    intake,
    awaited,
    openCalls,
    writer,
    auto,
    shutdown,
    exit,
    recovery,
    status,
    source,
    sink,
    clock,
    logger,
    stats,
    surroundings: new Surroundings(clock),
    completeUntil: () => clock.now() - stats().oldestEntryAgeMs,
  };
}
