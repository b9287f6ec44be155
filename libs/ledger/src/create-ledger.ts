import { assembleLedger, type Ledger, type LedgerParts } from './assemble-ledger.js';
import { systemClock as clock } from './clock/clock.js';
import type { ResolvedLedgerOptions } from './config/ledger-options.interface.js';
import { createDeadLetters } from './create-dead-letters.js';
import { journalOf } from './create-journal.js';
import { createRecovery } from './create-recovery.js';
import { createStreamSource } from './create-stream-source.js';
import { createRowSpill, watchExit, type CreatedRowSpill } from './create-row-spill.js';
import { LedgerTarget } from './create-target.js';
import type { LedgerDefinition } from './define-ledger.js';
import { LedgerFiles } from './files/ledger-files.js';
import { EarlierFiles } from './journal/earlier-files.js';
import { tableExtensions } from './ledger.extensions.js';
import { LedgerDatabase } from './ledger.database.js';
import { vitalsOf } from './ledger.vitals.js';
import { prepareTable, type PrepareOptions } from './migrations/prepare-table.js';
import { PartitionKeeper } from './partitions/partition-keeper.js';
import type { LedgerLogger } from './ports/ledger-logger.interface.js';
import type { LedgerVitals } from './ports/ledger-vitals.interface.js';
import { SpareConnections } from './postgres/spare-connections.js';
import { UsageReader } from './reading/usage-reader.js';
import { LedgerRollups } from './rollup/ledger-rollups.js';
import { rollupRetirement } from './rollup/rollup-retirement.js';
import { PostgresSink } from './sink/postgres.sink.js';
import { ServerQuestion, type ServerQuestionParts } from './sink/server-question.js';
import { TableDeadLetterStore } from './sink/table-dead-letter-store.js';
import { StreamFigures } from './stream/stream-figures.js';
import { StreamWatch } from './stream/stream-watch.js';
import { guardLogger } from './stats/guard-logger.js';

/** A ledger on PostgreSQL, with everything that the module provides. @internal */
export interface PostgresLedger {
  readonly ledger: Ledger;
  readonly database: LedgerDatabase;
  readonly reader: UsageReader<LedgerDefinition>;
  readonly rollups: LedgerRollups;
  readonly files: LedgerFiles;
  readonly vitals: LedgerVitals;
  readonly partitions: PartitionKeeper;
}

/**
 * Builds a ledger on PostgreSQL, beginning with its connections. Starts nothing and touches no
 * database.
 *
 * @internal
 */
export function createLedger(
  definition: LedgerDefinition,
  options: ResolvedLedgerOptions,
  givenLogger: LedgerLogger,
): PostgresLedger {
  const logger = guardLogger(givenLogger);
  const onNotice = (text: string): void => logger.warn(`WARNING: ${text}`);
  const database = new LedgerDatabase(options, definition.name);
  const { connections } = database;
  const { retention, strategy, writeTimeoutMs, spillDir } = options;
  const { reads, upkeep } = new SpareConnections({
    connections,
    turnstiles: () => database.turnstiles,
    maxWaitingReads: options.maxWaitingReads,
  });
  const partitions = new PartitionKeeper({
    definition,
    connections: upkeep,
    clock,
    logger,
    retention,
    hooks: rollupRetirement,
  });
  const rollups = new LedgerRollups({ definition, connections: upkeep, reads, clock, logger });
  const ledgerTarget = new LedgerTarget(definition, database);
  const preparation = preparationOf(options, logger);
  const question = questionOf(options, { clock, connections, onNotice });
  const sink = new PostgresSink({
    connections,
    closesConnections: true,
    table: definition,
    strategy,
    prepare: async (_, signal) => {
      await prepareTable(connections, definition, preparation, signal);
      // Before the first batch, because its rows need their partitions.
      await partitions.make();
      await rollups.find();
      if (options.journalDir !== undefined) await ledgerTarget.read(logger);
      // A writer has no journal, and gateways of an older definition may publish for it.
      if (options.role === 'writer') await ledgerTarget.readGiven();
    },
    onNotice,
    question,
  });
  const files = new LedgerFiles(spillDir, definition.name);
  const inTable = new TableDeadLetterStore({
    connections,
    table: definition,
    timeoutMs: writeTimeoutMs,
  });
  const deadLetters = createDeadLetters(options, { inTable, inFile: files.deadLetters }, onNotice);
  const segments = createRowSpill(definition, spillDir, ledgerTarget.describe);
  const { run } = segments;
  const ledger = assembleLedger({
    table: definition,
    options,
    run,
    sink,
    deadLetters,
    spills: files.spills,
    ...intakeOrStream(options, segments, ledgerTarget, logger),
    ...journaling({ table: definition, options, run, target: ledgerTarget, question }),
    clock,
    logger,
  });
  question?.listen((history) => ledger.journal?.noteServer(history));
  watchExit(ledger, segments);
  const asOf = (): Date => new Date(ledger.completeUntil());
  const reader = new UsageReader({ definition, connections: reads, asOf, source: rollups, logger });
  const vitals = vitalsOf(ledger, files);
  return { ledger, database, reader, rollups, files, vitals, partitions };
}

/** A writer of a stream accepts no entries, so no entry can arrive too late. */
function intakeOrStream(
  { role, stream }: ResolvedLedgerOptions,
  { rowSpill }: CreatedRowSpill,
  { given }: LedgerTarget,
  logger: LedgerLogger,
): Pick<LedgerParts, 'source' | 'rowSpill' | 'stream'> {
  if (role !== 'writer' || stream === undefined) return { rowSpill };
  const figures = new StreamFigures(
    'writer',
    new StreamWatch({ stream, clock, logger, reportsUnread: true }),
  );
  return {
    stream: figures,
    source: (core) => createStreamSource(core, stream, figures, { given }),
  };
}

/** The journal and the recovery of earlier journals share one bound. */
function journaling(of: {
  readonly table: LedgerDefinition;
  readonly options: ResolvedLedgerOptions;
  readonly run: number;
  readonly target: LedgerTarget;
  readonly question: ServerQuestion | undefined;
}): Pick<LedgerParts, 'journal' | 'recovery'> {
  const { table, options, run, question } = of;
  const { describe: target, given } = of.target;
  const earlier = new EarlierFiles();
  return {
    ...journalOf({ table, options, run, target, clock, earlier }),
    ...createRecovery(options, { run, target, question, earlier, given }),
  };
}

/** Without both settings, no rows are kept that a promotion could have lost. */
function questionOf(
  { journalDir, journalKeepMs }: ResolvedLedgerOptions,
  parts: ServerQuestionParts,
): ServerQuestion | undefined {
  return journalDir !== undefined && journalKeepMs > 0 ? new ServerQuestion(parts) : undefined;
}

/**
 * `run` on the ledger's own connection, `verify` on the application's, unless the option is given.
 */
function preparationOf(options: ResolvedLedgerOptions, logger: LedgerLogger): PrepareOptions {
  const mode = options.migrations ?? (options.connection === undefined ? 'verify' : 'run');
  const { deadLetters } = options;
  return {
    mode,
    deadLetters: deadLetters === 'table',
    extensions: tableExtensions,
    logger,
  };
}
