import { quoteIdentifier } from '../postgres/quote-sql.js';
import { NAME_ENDINGS } from '../entry/check-definition.js';
import type { LedgerTable } from '../entry/ledger-definition.js';
import { SinkHaltError, SinkTransientError } from '../errors/sink.errors.js';
import { migrateCommand } from '../entry/ledger-command.js';
import { createSchemaText, migrationText, timestampOf } from './ledger-migrations.js';
import { templateHash } from '../postgres/migration-script.js';
import type { TableExtension } from '../postgres/sql-migration.interface.js';
import { Deadline } from '../clock/deadline.js';
import type { PostgresOptions } from '../postgres/open.js';
import type { PgConnections } from '../postgres/pg-connections.js';
import type { PgSession } from '../postgres/pg-session.js';
import { sqlStateOf } from '../postgres/read-pg-error.js';
import { withConnections } from '../postgres/with-connections.js';
import { migrationLockKey, withMigrationLock } from './migration-lock.js';
import { findPending } from './pending-migrations.js';
import type { PendingMigration } from './pending-migrations.js';
import { tableNames } from '../postgres/table-names.js';
import type { TableNames } from '../postgres/table-names.js';
import { realTimers } from '../clock/real-timers.js';

/** Options of a migration run. @internal */
export interface MigrationRun {
  /** Milliseconds between two checks of the lock, varied by up to half. Default: 200. */
  readonly pollMs?: number;
  /** Time limit of the whole run in milliseconds, including connecting. Default: 60,000. */
  readonly timeoutMs?: number;
  /** Ends the run early, like the time limit. */
  readonly signal?: AbortSignal;
  /**
   * Called for each failed migration without which entries can still be written, for example one
   * that waits in vain for a long read of the rollups. Without this callback such a failure is
   * thrown like any other. Errors of the callback are thrown too.
   */
  readonly onLeft?: ((name: string, error: unknown) => void) | undefined;
  /** Additions of optional folders to the tables. */
  readonly extensions: readonly TableExtension[];
}

/** One connection for the lock, one for the migrations. */
const POOL_SIZE = 2;

/**
 * Milliseconds that a statement waits for a lock on a table. While `ALTER TABLE` waits for a long
 * read, every write waits behind it, so it gives up and is retried at the next start.
 */
const LOCK_TIMEOUT_MS = 5_000;

/**
 * Updates the ledger's tables to its definition, on its own connections. Many processes may start
 * at once: one migrates while it holds an advisory lock, the others wait for it. The lock belongs
 * to an open transaction, so it also works through a transaction pooler (with at least two
 * connections).
 *
 * Migrations are recorded in `<table>_migrations`, in TypeORM's layout. TypeORM's `runMigrations()`
 * is not used: it does not quote that table's name, so names with dots or quotes would fail, and it
 * takes no lock.
 *
 * @returns names of the migrations that this call ran, in order; empty if none was pending
 * @throws SinkHaltError if the role may not change tables
 * @throws SinkTransientError if the time is over
 * @throws the error of TypeORM or pg for all other failures
 * @internal
 */
export async function runMigrations(
  options: PostgresOptions,
  definition: LedgerTable,
  run: MigrationRun,
): Promise<string[]> {
  const { pollMs = 200, timeoutMs = 60_000, onLeft, extensions } = run;
  const end = new AbortController();
  const stop = (): void => end.abort();
  const timer = realTimers.setTimeout(stop, timeoutMs);
  run.signal?.addEventListener('abort', stop);
  if (run.signal?.aborted) stop();
  const { signal } = end;
  const deadline = new Deadline(timeoutMs);
  try {
    const opened = { applicationName: 'nestjs-ledger migrations', poolSize: POOL_SIZE };
    return await withConnections(options, { ...opened, signal }, async (connections) => {
      const { driver } = await connections.ready();
      const names = tableNames(definition, options.schema);
      const key = migrationLockKey(names.schema ?? driver.schema ?? null, names);
      return migrate({
        connections,
        definition,
        names,
        key,
        extensions,
        pollMs,
        deadline,
        signal,
        onLeft,
      });
    });
  } catch (error) {
    if (signal.aborted || deadline.remainingMs < 1) throw tookTooLong(definition);
    throw translate(error, definition, options.schema);
  } finally {
    realTimers.clearTimeout(timer);
    run.signal?.removeEventListener('abort', stop);
  }
}

interface Migration {
  readonly connections: PgConnections;
  readonly definition: LedgerTable;
  readonly names: TableNames;
  /** Key of the advisory lock. */
  readonly key: bigint;
  readonly extensions: readonly TableExtension[];
  readonly pollMs: number;
  readonly deadline: Deadline;
  readonly signal: AbortSignal;
  readonly onLeft: MigrationRun['onLeft'];
}

async function migrate(migration: Migration): Promise<string[]> {
  const { connections, deadline, pollMs, signal } = migration;
  for (;;) {
    signal.throwIfAborted();
    // The usual start of a process: all objects exist, and no lock is taken.
    const pending = await connections.use(deadline, ({ query }) => findPending(query, migration));
    if (pending.length === 0) return [];
    const ran = await withMigrationLock(migration, () =>
      connections.use(deadline, (session) => runPending(session, migration)),
    );
    if (ran) return ran;
    // Never wait inside the lock function: a waiting statement holds a snapshot, which would
    // prevent a CREATE INDEX CONCURRENTLY of the migrating process from ending.
    await realTimers.pause(pollMs * (0.5 + Math.random()), undefined, { signal });
  }
}

async function runPending(session: PgSession, migration: Migration): Promise<string[]> {
  const { onLeft, signal } = migration;
  // Another process may have done all work between the first check and the lock.
  const pending = await findPending(session.query, migration);
  if (pending.length === 0) return [];
  await createRecords(session, migration);
  const ran: string[] = [];
  for (const each of pending) {
    try {
      await runOne(session, each, migration);
      ran.push(each.name);
    } catch (error) {
      if (each.planned.isNeeded === true || onLeft === undefined || signal.aborted) throw error;
      onLeft(each.name, error);
    }
  }
  return ran;
}

/** Creates the schema and the table in which migrations are recorded. */
async function createRecords(session: PgSession, { definition, names }: Migration): Promise<void> {
  if (names.schema !== undefined) await session.rows(createSchemaText(names.schema));
  const primaryKey = definition.table + NAME_ENDINGS.migrationsPrimaryKey;
  await session.rows(`CREATE TABLE IF NOT EXISTS ${names.sqlMigrations} (
    id serial NOT NULL CONSTRAINT ${quoteIdentifier(primaryKey)} PRIMARY KEY,
    "timestamp" bigint NOT NULL,
    name character varying NOT NULL
  )`);
  await session.rows(
    `ALTER TABLE ${names.sqlMigrations} ADD COLUMN IF NOT EXISTS number integer,
      ADD COLUMN IF NOT EXISTS hash text`,
  );
}

/** Runs one migration, and records its number and the hash of its template. */
function runOne(
  session: PgSession,
  { name, planned, definition }: PendingMigration,
  { names, deadline }: Migration,
): Promise<void> {
  const { number } = planned.migration;
  const hash = templateHash(planned.migration);
  const work = async (): Promise<void> => {
    if ((await planned.isSurpassed?.(session.query, names.schema)) !== true) {
      await session.rows(migrationText(definition, planned, names.schema));
    }
    await session.rows(
      `WITH known AS (
        UPDATE ${names.sqlMigrations} SET (number, hash) = ($3::integer, $4::text)
        WHERE name = $2::text RETURNING id)
      INSERT INTO ${names.sqlMigrations} ("timestamp", name, number, hash)
      SELECT $1::bigint, $2::text, $3::integer, $4::text WHERE NOT EXISTS (SELECT FROM known)`,
      [timestampOf(number), name, number, hash],
    );
  };
  const lockTimeoutMs = Math.max(1, Math.min(LOCK_TIMEOUT_MS, Math.floor(deadline.remainingMs)));
  return session.transaction(work, { lockTimeoutMs });
}

function tookTooLong({ name }: LedgerTable): SinkTransientError {
  const message = `the migrations of ledger ${name} did not end in the time they had`;
  return new SinkTransientError(message, { outcomeKnown: true });
}

function translate(error: unknown, definition: LedgerTable, connectionSchema?: string): unknown {
  const { name } = definition;
  const sqlState = sqlStateOf(error);
  if (sqlState !== '42501') return error;
  return new SinkHaltError(
    `the role may not run the migrations of ledger ${name}: let the owner of its schema ` +
      `run \`${migrateCommand(definition, connectionSchema)}\`, and set migrations: 'verify'`,
    { sqlState, cause: error },
  );
}
