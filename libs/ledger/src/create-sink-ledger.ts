import { assembleLedger, type Ledger } from './assemble-ledger.js';
import { systemClock } from './clock/clock.js';
import type { ResolvedLedgerOptions } from './config/ledger-options.interface.js';
import { createDeadLetters } from './create-dead-letters.js';
import { journalOf } from './create-journal.js';
import { createRecovery } from './create-recovery.js';
import { createRowSpill, watchExit } from './create-row-spill.js';
import type { LedgerDefinition } from './define-ledger.js';
import type { LedgerTable } from './entry/ledger-definition.js';
import { LedgerOptionsError, type OptionsFault } from './errors/ledger-options.error.js';
import { StreamFigures } from './stream/stream-figures.js';
import { StreamSink } from './stream/stream.sink.js';
import { StreamWatch } from './stream/stream-watch.js';
import { LedgerFiles } from './files/ledger-files.js';
import { EarlierFiles } from './journal/earlier-files.js';
import { NoReader } from './ledger.no-reader.js';
import { vitalsOf } from './ledger.vitals.js';
import type { LedgerLogger } from './ports/ledger-logger.interface.js';
import type { LedgerSink } from './ports/ledger-sink.interface.js';
import type { LedgerStream } from './ports/ledger-stream.interface.js';
import type { LedgerVitals } from './ports/ledger-vitals.interface.js';
import type { UsageReading } from './ports/usage-reading.interface.js';
import type { SegmentTarget } from './segments/segment-description.js';
import { guardLogger } from './stats/guard-logger.js';
import { CheckedSink } from './writer/checked-sink.js';

/** A ledger on a sink that is not PostgreSQL, with all that the module makes providers of. @internal */
export interface SinkLedger {
  readonly ledger: Ledger;
  readonly reader: UsageReading<LedgerDefinition>;
  readonly files: LedgerFiles;
  readonly vitals: LedgerVitals;
  /** A database, partitions and rollups are PostgreSQL's. */
  readonly database: undefined;
  readonly partitions: undefined;
  readonly rollups: undefined;
}

/** Where a ledger writes that has no PostgreSQL. @internal */
export interface SinkParts {
  readonly sink: LedgerSink;
  /** Of a gateway's stream; undefined: the sink is the application's own. */
  readonly figures?: StreamFigures;
}

/**
 * Builds a ledger on a sink of the application's own, or on a stream as a gateway. Starts nothing.
 *
 * @throws LedgerOptionsError if the definition asks for what only PostgreSQL has
 * @internal
 */
export function createSinkLedger(
  definition: LedgerDefinition,
  options: ResolvedLedgerOptions,
  { sink: given, figures }: SinkParts,
  givenLogger: LedgerLogger,
): SinkLedger {
  const isGateway = options.role === 'gateway';
  // What the definition asks of PostgreSQL is kept by the writers.
  if (!isGateway) checkDefinition(definition);
  const logger = guardLogger(givenLogger);
  const files = new LedgerFiles(options.spillDir, definition.name);
  const places = { inTable: undefined, inFile: files.deadLetters };
  const deadLetters = createDeadLetters(options, places, (text) => logger.warn(`WARNING: ${text}`));
  const sink = new CheckedSink(given, logger);
  const { schema, table } = definition;
  const target = (): SegmentTarget => ({ schema, table });
  const clock = systemClock;
  const segments = createRowSpill(definition, options.spillDir, target);
  const earlier = new EarlierFiles();
  const ledger = assembleLedger({
    table: definition,
    options,
    run: segments.run,
    sink,
    taken: isGateway ? 'published' : 'written',
    ...(figures && { stream: figures }),
    deadLetters,
    spills: files.spills,
    rowSpill: segments.rowSpill,
    ...journalOf({ table: definition, options, run: segments.run, target, clock, earlier }),
    ...createRecovery(options, { run: segments.run, target, question: undefined, earlier }),
    clock,
    logger,
  });
  watchExit(ledger, segments);
  const reader = options.reader ?? new NoReader(isGateway ? 'to a stream' : 'to a sink of its own');
  const vitals = vitalsOf(ledger, files);
  return {
    ledger,
    reader,
    files,
    vitals,
    database: undefined,
    partitions: undefined,
    rollups: undefined,
  };
}

/** The sink of a gateway, and what counts its messages. @internal */
export function gatewaySink(table: LedgerTable, stream: LedgerStream): SinkParts {
  const watch = new StreamWatch(stream, systemClock, undefined);
  const figures = new StreamFigures('gateway', watch);
  return { sink: new StreamSink({ stream, table, clock: systemClock, figures }), figures };
}

/** What a definition asks for must be kept, or the boot fails. */
function checkDefinition({ name, partition, rollup, immutable, indexes }: LedgerTable): void {
  const faults: OptionsFault[] = [];
  const refuse = (option: string, value: string): void => {
    const rule =
      `needs PostgreSQL, and ledger ${name} has a sink of its own; ` +
      'leave it out of defineLedger()';
    faults.push({ name: option, value, rule, source: 'code' });
  };
  if (partition !== undefined) refuse('partition', partition);
  if (rollup !== undefined && rollup !== false) refuse('rollup', 'true');
  if (immutable === true) refuse('immutable', 'true');
  if (indexes !== undefined) refuse('indexes', indexes.join(', '));
  if (faults.length > 0) throw new LedgerOptionsError(faults);
}
