import type { LedgerTable } from '../entry/ledger-definition.js';
import { Deadline } from '../clock/deadline.js';
import type { PgConnections } from '../postgres/pg-connections.js';
import { readPgError } from '../postgres/read-pg-error.js';
import type { PostgresOptions } from '../postgres/open.js';
import type { TableExtension } from '../postgres/sql-migration.interface.js';
import { runMigrations } from './run-migrations.js';
import { haltOnFaults, verifyTable } from './verify-table.js';

/** Time limit of the comparison, including its connection; it is one round trip. */
const VERIFY_TIMEOUT_MS = 10_000;

/** SQLSTATEs that may not recur at a second try: an ended connection, a deadlock. */
const TRY_AGAIN = /^(08|40|57P)/;

/** Options for preparing the table. */
export interface PrepareOptions {
  /** `run` migrates, then compares; `verify` compares only; `off` does neither. */
  readonly mode: 'run' | 'verify' | 'off';
  /** Whether dead letters go to a table. */
  readonly deadLetters: boolean;
  /** Additions of optional folders to the tables. */
  readonly extensions: readonly TableExtension[];
  /** Receives the names of run migrations, and warnings about tolerable differences. */
  readonly logger: { log(line: string): void; warn(line: string): void };
}

/**
 * Ensures that the table matches the definition.
 *
 * @param signal ends migrations early
 * @throws SinkHaltError if the table does not match, SinkTransientError or an error of `pg`
 *   otherwise
 * @internal
 */
export async function prepareTable(
  connections: PgConnections,
  definition: LedgerTable,
  options: PrepareOptions,
  signal?: AbortSignal,
): Promise<void> {
  const { mode, deadLetters, extensions, logger } = options;
  if (mode === 'off') return;
  const dataSource = await connections.ready();
  if (mode === 'run') {
    const onLeft = (name: string, error: unknown): void => {
      const { code = '', isAnswer, text } = readPgError(error);
      if (!isAnswer || TRY_AGAIN.test(code)) throw error;
      logger.warn(`WARNING: not migrated, but entries are still written: ${name} (${text})`);
    };
    const options = dataSource.options as PostgresOptions;
    const ran = await runMigrations(options, definition, { extensions, signal, onLeft });
    if (ran.length > 0) logger.log(`migrated: ${ran.join(', ')}`);
  }
  const deadline = new Deadline(VERIFY_TIMEOUT_MS);
  await connections.use(deadline, async (session) => {
    const faults = await verifyTable(session.query, definition, {
      extensions,
      connectionSchema: session.schema,
      deadLetters,
    });
    for (const { kind, problem, remedy } of faults) {
      if (kind === 'warning') logger.warn(`WARNING: ${problem} (${remedy})`);
    }
    haltOnFaults(definition, faults);
  });
}
