import { assembleLedger, type Ledger } from './assemble-ledger.js';
import type { ResolvedLedgerOptions } from './config/ledger-options.interface.js';
import type { LedgerDefinition } from './define-ledger.js';
import type { LedgerVitals } from './ports/ledger-vitals.interface.js';
import { tableExtensions } from './ledger.extensions.js';
import { LedgerDatabase } from './ledger.database.js';
import { vitalsOf } from './ledger.vitals.js';
import { prepareTable, type PrepareOptions } from './migrations/prepare-table.js';
import { PartitionKeeper } from './partitions/partition-keeper.js';
import { RollupPass } from './rollup/rollup-pass.js';
import { RollupSchedule } from './rollup/rollup-schedule.js';
import { UsageReader } from './reading/usage-reader.js';
import type { LedgerDeadLetterStore } from './ports/dead-letter-store.interface.js';
import { FallbackDeadLetterStore } from './files/fallback-dead-letter-store.js';
import { LedgerFiles } from './files/ledger-files.js';
import { PostgresSink } from './sink/postgres.sink.js';
import type { PgConnections } from './postgres/pg-connections.js';
import { TableDeadLetterStore } from './sink/table-dead-letter-store.js';
import type { LedgerLogger } from './ports/ledger-logger.interface.js';
import { systemClock } from './clock/clock.js';

/** A ledger on PostgreSQL, with all that the module makes providers of. @internal */
export interface PostgresLedger {
  readonly ledger: Ledger;
  readonly database: LedgerDatabase;
  readonly reader: UsageReader<LedgerDefinition>;
  readonly rollups: RollupSchedule | undefined;
  readonly files: LedgerFiles;
  readonly vitals: LedgerVitals;
  readonly partitions: PartitionKeeper;
}

/** Builds a ledger on PostgreSQL. Starts nothing and touches no database. @internal */
export function createLedger(
  definition: LedgerDefinition,
  options: ResolvedLedgerOptions,
  logger: LedgerLogger,
): PostgresLedger {
  const database = new LedgerDatabase(options, definition.name);
  const { strategy } = options;
  const sink = new PostgresSink({
    dataSource: () => database.dataSource,
    ownsDataSource: database.isOwn,
    table: definition,
    strategy,
    prepare: async (connections, signal) => {
      await prepareTable(connections, definition, preparationOf(options, ledger.logger), signal);
      // Before the first batch, so that its rows find the partitions that they belong to.
      await partitions.make();
    },
    onNotice: (text) => ledger.logger.warn(`WARNING: ${text}`),
  });
  const files = new LedgerFiles(options.spillDir, definition.name);
  const inTable = new TableDeadLetterStore({
    connections: sink.connections,
    table: definition,
    timeoutMs: options.writeTimeoutMs,
  });
  const ledger: Ledger = assembleLedger({
    table: definition,
    options,
    sink,
    deadLetters: deadLettersOf(options, inTable, files, (text) =>
      ledger.logger.warn(`WARNING: ${text}`),
    ),
    spills: files.spills,
    clock: systemClock,
    logger,
  });
  const reader = new UsageReader({
    definition,
    connections: sink.connections,
    asOf: () => new Date(ledger.completeUntil()),
    onNotice: (text) => ledger.logger.warn(`WARNING: ${text}`),
  });
  const partitions = new PartitionKeeper({
    definition,
    connections: sink.connections,
    clock: systemClock,
    logger: ledger.logger,
    retention: options.retention,
  });
  const rollups = scheduleOf(definition, sink.connections, ledger);
  const vitals = vitalsOf(ledger, files);
  return { ledger, database, reader, rollups, files, vitals, partitions };
}

/** Undefined if the definition wants no rollups. */
function scheduleOf(
  definition: LedgerDefinition,
  connections: PgConnections,
  { clock, logger, counters }: Ledger,
): RollupSchedule | undefined {
  if (!definition.rollup) return undefined;
  const pass = new RollupPass({ definition, connections });
  const written = (): number => counters.written;
  return new RollupSchedule({ pass, clock, logger, definition, written });
}

/** `run` on the ledger's own connection, `verify` on the application's, unless it says. */
function preparationOf(options: ResolvedLedgerOptions, logger: LedgerLogger): PrepareOptions {
  const mode = options.migrations ?? (options.connection === undefined ? 'verify' : 'run');
  const { strategy, deadLetters } = options;
  return {
    mode,
    strategy,
    deadLetters: deadLetters === 'table',
    extensions: tableExtensions,
    logger,
  };
}

/** Milliseconds for a store of the application's: a worker waits, and so may the end of the process. */
const STORE_TIMEOUT_MS = 5_000;

function deadLettersOf(
  { deadLetters, writeTimeoutMs }: ResolvedLedgerOptions,
  inTable: LedgerDeadLetterStore,
  files: LedgerFiles,
  onNotice: (text: string) => void,
): LedgerDeadLetterStore {
  if (deadLetters === 'file') return files.deadLetters;
  const isTable = deadLetters === 'table';
  return new FallbackDeadLetterStore({
    first: isTable ? inTable : deadLetters,
    second: files.deadLetters,
    firstName: isTable ? 'the table' : "the application's store",
    timeoutMs: isTable ? writeTimeoutMs : Math.min(writeTimeoutMs, STORE_TIMEOUT_MS),
    onNotice,
  });
}
