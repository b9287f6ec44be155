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

/**
 * A ledger on a sink that is not PostgreSQL, with everything that the module provides. @internal
 */
export interface SinkLedger {
  readonly ledger: Ledger;
  readonly reader: UsageReading<LedgerDefinition>;
  readonly files: LedgerFiles;
  readonly vitals: LedgerVitals;
  /** Only PostgreSQL has a database, partitions and rollups. */
  readonly database: undefined;
  readonly partitions: undefined;
  readonly rollups: undefined;
}

/** The target of a ledger without PostgreSQL. @internal */
export interface SinkParts {
  readonly sink: LedgerSink;
  /** Of a gateway's stream; undefined: the sink is the application's own. */
  readonly figures?: StreamFigures;
}

/**
 * Builds a ledger on the application's own sink, or as a gateway of a stream. Starts nothing.
 *
 * @throws LedgerOptionsError if the definition needs a feature that only PostgreSQL has
 * @internal
 */
export function createSinkLedger(
  definition: LedgerDefinition,
  options: ResolvedLedgerOptions,
  { sink: given, figures }: SinkParts,
  givenLogger: LedgerLogger,
): SinkLedger {
  const isGateway = options.role === 'gateway';
  // The writers provide the definition's features of PostgreSQL.
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
  const reader = options.reader ?? new NoReader(isGateway ? 'to a stream' : 'to its own sink');
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
export function gatewaySink(
  table: LedgerTable,
  stream: LedgerStream,
  givenLogger: LedgerLogger,
): SinkParts {
  const clock = systemClock;
  const logger = guardLogger(givenLogger);
  // The writers report messages that none of them reads.
  const watch = new StreamWatch({ stream, clock, logger, reportsUnread: false });
  const figures = new StreamFigures('gateway', watch);
  return { sink: new StreamSink({ stream, table, clock, figures }), figures };
}

/** A definition's feature that the sink cannot provide fails the boot. */
function checkDefinition({ name, partition, rollup, immutable, indexes }: LedgerTable): void {
  const faults: OptionsFault[] = [];
  const refuse = (option: string, value: string): void => {
    const rule =
      `needs PostgreSQL, but ledger ${name} writes to its own sink; ` +
      'leave it out of defineLedger()';
    faults.push({ name: option, value, rule, source: 'code' });
  };
  if (partition !== undefined) refuse('partition', partition);
  if (rollup !== undefined && rollup !== false) refuse('rollup', 'true');
  if (immutable === true) refuse('immutable', 'true');
  if (indexes !== undefined) refuse('indexes', indexes.join(', '));
  if (faults.length > 0) throw new LedgerOptionsError(faults);
}
