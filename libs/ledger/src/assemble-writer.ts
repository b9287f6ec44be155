import type { LedgerCore } from './assemble-core.js';
import type { Handoff } from './channel/handoff.js';
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

/** What the writer half is made from, beside the core. */
export interface WriterParts {
  /** Where batches come from: the channel, by `channelSource`. */
  readonly source: BatchSource;
  /** Rows of earlier runs, which `source` gives beside its own; undefined: there are none. */
  readonly recovery?: RecoverySource | undefined;
  /** Where they go. */
  readonly sink: LedgerSink;
  /** What rows count as that the sink took; default: `written`. */
  readonly taken?: 'written' | 'published';
  /** Has every accepted row on disk; undefined: they are in memory only. */
  readonly journal?: Journal | undefined;
  /** Takes what is left at the drain deadline and in no journal. */
  readonly spills: SpillStore;
  /** Takes what is held when the process exits without a shutdown; undefined: it is lost. */
  readonly rowSpill?: RowSpill | undefined;
  /** See `KnownUuids`; default: no, so that each conflict is a dead letter. */
  readonly isOwnUnanswered?: (row: Buffer) => boolean;
  /** 0 up to 1. */
  readonly random: () => number;
}

/** The half that writes entries: from the channel to the sink. @internal */
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

/** Wires the writer half, for whatever source. */
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

/** What keeps the figures that are `auto`; undefined: none is. */
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

/** What `auto` is where batches come from a stream; undefined: no figure is. */
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
