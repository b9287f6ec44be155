import type { LedgerCore } from './assemble-core.js';
import type { Handoff } from './channel/handoff.js';
import type { OpenCalls } from './channel/open-calls.js';
import type { Journal } from './journal/journal.js';
import type { LedgerSink } from './ports/ledger-sink.interface.js';
import type { RowSpill, SpillStore } from './ports/spill-store.interface.js';
import type { BatchSource, RecoverySource } from './writer/batch-source.interface.js';
import { AutoTuning, type AutoTuningParts } from './writer/auto-tuning.js';
import { BatchWriter } from './writer/batch-writer.js';
import { Dispatcher } from './writer/dispatcher.js';
import { ExitSpill } from './writer/exit-spill.js';
import { Outage } from './writer/outage.js';
import { Settler } from './writer/settler.js';
import { Shutdown } from './writer/shutdown.js';
import { UntunedFigures } from './writer/untuned-figures.js';

/** The inputs of the writer half, besides the core. */
export interface WriterParts {
  /** Where batches come from: the channel, by `channelSource`. */
  readonly source: BatchSource;
  /** Rows of earlier runs, which `source` yields besides its own; undefined: none. */
  readonly recovery?: RecoverySource | undefined;
  /** Where they go. */
  readonly sink: LedgerSink;
  /** How rows count once the sink has accepted them; default: `written`. */
  readonly taken?: 'written' | 'published';
  /** Holds every accepted row on disk; undefined: rows are in memory only. */
  readonly journal?: Journal | undefined;
  /** Takes the rows that are left at the drain deadline and are in no journal. */
  readonly spills: SpillStore;
  /**
   * Takes the rows that are held when the process exits without a shutdown; undefined: they are
   * lost.
   */
  readonly rowSpill?: RowSpill | undefined;
  /** Calls to record when the process exits without a shutdown. */
  readonly openCalls?: OpenCalls | undefined;
  /** See `KnownUuids`; default: none, and each conflict becomes a dead letter. */
  readonly isOwnUnanswered?: (row: Buffer) => boolean;
  /** 0 up to 1. */
  readonly random: () => number;
}

/** The writer half, from the channel to the sink. @internal */
export interface WriterHalf {
  readonly writer: BatchWriter;
  readonly outage: Outage;
  readonly shutdown: Shutdown;
  readonly exit: ExitSpill;
}

/** The channel as the source of batches. It joins the two halves of one process. */
export function channelSource(
  { options, clock }: LedgerCore,
  handoff: Handoff,
  recovery?: RecoverySource,
): Dispatcher {
  const { batchSize, enough, batchBytes, flushMs } = options.figures;
  const dispatcher = new Dispatcher({
    handoff,
    clock,
    batchSize,
    enough,
    batchBytes,
    flushMs,
    recovery,
  });
  handoff.attach(dispatcher);
  return dispatcher;
}

/** Wires the writer half for any source. */
export function assembleWriter(core: LedgerCore, parts: WriterParts): WriterHalf {
  const { clock, logger, codec, counters, status, losses, keeper } = core;
  const { writeTimeoutMs, shutdownTimeoutMs } = core.options;
  const { retryMinMs, retryMaxMs } = core.options;
  const { source, recovery, journal, sink, spills, rowSpill, random } = parts;
  const { isOwnUnanswered = () => false, taken = 'written' } = parts;
  const settler = new Settler({
    ...{ source, taken, codec, counters, losses, keeper, clock, logger },
    isOwnUnanswered,
    leaveBehind: (batch) =>
      recovery?.owns(batch) === true
        ? recovery.leave(batch)
        : (source.leaveBehind?.(batch) ?? journal?.leaveBehind(batch)),
  });
  const outage = new Outage({ clock, retry: { minMs: retryMinMs, maxMs: retryMaxMs }, random });
  const writer = new BatchWriter({
    source,
    recovery,
    outage,
    settler,
    sink,
    counters,
    status,
    clock,
    logger,
    numWorkers: core.options.figures.numWorkers,
    writeTimeoutMs,
    retryMaxMs,
  });
  const shutdown = new Shutdown({
    source,
    codec,
    writer,
    settler,
    journal,
    spills,
    keeper,
    counters,
    losses,
    status,
    clock,
    logger,
    shutdownTimeoutMs,
  });
  const exit = new ExitSpill({
    openCalls: parts.openCalls,
    source,
    writer,
    shutdown,
    settler,
    journal,
    spill: rowSpill,
    losses,
    logger,
  });
  return { writer, outage, shutdown, exit };
}

/** Tunes the figures that are `auto`; undefined: no figure is. */
export function assembleTuning(
  core: LedgerCore,
  dispatcher: Dispatcher,
  { writer, outage }: WriterHalf,
  { sink, utilization }: Pick<AutoTuningParts, 'sink' | 'utilization'>,
): AutoTuning | undefined {
  const { clock, logger, status, counters } = core;
  const { flushMs, numWorkers, figures } = core.options;
  if (!hasAuto(core.options)) return undefined;
  return new AutoTuning({
    clock,
    logger,
    status,
    counters,
    outage,
    sink,
    writer,
    dispatcher,
    isDelayAuto: flushMs === 'auto',
    areWorkersAuto: numWorkers === 'auto',
    batchSize: figures.batchSize,
    mostWorkers: figures.mostWorkers,
    utilization,
  });
}

/** Stands for `auto` if batches come from a stream; undefined: no figure is `auto`. */
export function untunedFigures(
  { clock, options }: LedgerCore,
  { writer }: WriterHalf,
): UntunedFigures | undefined {
  if (!hasAuto(options)) return undefined;
  return new UntunedFigures({ batchSize: options.figures.batchSize, writer, clock });
}

function hasAuto({ batchSize, flushMs, numWorkers }: LedgerCore['options']): boolean {
  return [batchSize, flushMs, numWorkers].includes('auto');
}
