import { connectionSchema } from '../postgres/connection-schema.js';
import { quoteIdentifier } from '../postgres/quote-sql.js';
import { createHash } from 'node:crypto';
import { setTimeout as sleep } from 'node:timers/promises';
import type { PoolClient, QueryResult } from 'pg';
import type { DataSource, QueryRunner } from 'typeorm';
import { NAME_ENDINGS } from '../entry/check-definition.js';
import type { LedgerTable } from '../entry/ledger-definition.js';
import { SinkHaltError, SinkTransientError } from '../errors/sink.errors.js';
import { migrateCommand } from '../entry/ledger-command.js';
import { createSchemaText, migrationText, timestampOf } from './ledger-migrations.js';
import type { QueryFunction } from '../postgres/load-catalog.js';
import { templateHash } from '../postgres/migration-script.js';
import type { TableExtension } from '../postgres/sql-migration.interface.js';
import { withMigrationDataSource } from '../postgres/migration-data-source.js';
import type { PostgresOptions } from '../postgres/migration-data-source.js';
import { findPending } from './pending-migrations.js';
import type { PendingMigration } from './pending-migrations.js';
import { tableNames } from '../postgres/table-names.js';
import type { TableNames } from '../postgres/table-names.js';
import { LIFT_TRANSACTION_TIMEOUT } from '../postgres/transaction-timeout.js';

/** How migrations run. @internal */
export interface MigrationRun {
  /** Milliseconds between two looks at the lock, half of it up to half more. Default: 200. */
  readonly pollMs?: number;
  /** Milliseconds that all of it may take, connecting included. Default: 60,000. */
  readonly timeoutMs?: number;
  /** Ends it early, as the time limit would. */
  readonly signal?: AbortSignal;
  /**
   * Hears of each migration that failed though entries can be written without it, as one does that
   * waits in vain for a long read of the rollups. Without it such a failure is thrown like any other,
   * and so is what it throws.
   */
  readonly onLeft?: ((name: string, error: unknown) => void) | undefined;
  /** What optional folders add to the tables. */
  readonly extensions: readonly TableExtension[];
}

/**
 * Milliseconds that a statement waits for a lock on a table. While `ALTER TABLE` waits for a long
 * read, every write waits behind it, so it gives up and is tried again with the next start.
 */
const LOCK_TIMEOUT_MS = 5_000;

/**
 * Brings the ledger's tables up to its definition, on connections of its own. Safe when many
 * processes start at once: one migrates while it holds an advisory lock, the others wait for it.
 * The lock belongs to an open transaction, so this works through a transaction pooler too (which
 * must have two connections to give).
 *
 * What was migrated is kept in `<table>_migrations`, laid out as TypeORM lays out its own. TypeORM's
 * `runMigrations()` is not used: it builds that table's name without quoting, so that names with
 * dots or quotes would fail, and it takes no lock.
 *
 * @returns names of the migrations that this call ran, in order; empty if there were none to run
 * @throws SinkHaltError if the role may not change tables
 * @throws SinkTransientError if the time is over
 * @throws the error of TypeORM or pg for everything else
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
  const timer = setTimeout(stop, timeoutMs);
  run.signal?.addEventListener('abort', stop);
  if (run.signal?.aborted) stop();
  const deadline = performance.now() + timeoutMs;
  try {
    return await withMigrationDataSource(options, end.signal, (dataSource) => {
      const names = tableNames(definition, connectionSchema(dataSource));
      const { signal } = end;
      return migrate({
        dataSource,
        definition,
        names,
        extensions,
        pollMs,
        deadline,
        signal,
        onLeft,
      });
    });
  } catch (error) {
    throw translate(
      error,
      { ...definition, schema: definition.schema ?? options.schema },
      end.signal.aborted,
    );
  } finally {
    clearTimeout(timer);
    run.signal?.removeEventListener('abort', stop);
  }
}

interface Migration {
  readonly dataSource: DataSource;
  readonly definition: LedgerTable;
  readonly names: TableNames;
  readonly extensions: readonly TableExtension[];
  readonly pollMs: number;
  /** On the scale of `performance.now()`. */
  readonly deadline: number;
  readonly signal: AbortSignal;
  readonly onLeft: MigrationRun['onLeft'];
}

async function migrate(migration: Migration): Promise<string[]> {
  const { dataSource, pollMs, signal } = migration;
  for (;;) {
    signal.throwIfAborted();
    // The usual start of a process: all is there, and no lock is taken.
    const pending = await withQueryRunner(dataSource, (runner) =>
      findPending(queryOf(runner), migration),
    );
    if (pending.length === 0) return [];
    const ran = await withLock(migration, () =>
      withQueryRunner(dataSource, (runner) => runPending(runner, migration)),
    );
    if (ran) return ran;
    // Never wait inside the lock function: a waiting statement holds a snapshot, and that would
    // keep a CREATE INDEX CONCURRENTLY of the process that migrates from ever ending.
    await sleep(pollMs * (0.5 + Math.random()), undefined, { signal });
  }
}

async function runPending(runner: QueryRunner, migration: Migration): Promise<string[]> {
  const { onLeft, signal } = migration;
  // Between the first look and the lock another process may have done it all.
  const pending = await findPending(queryOf(runner), migration);
  if (pending.length === 0) return [];
  await createRecords(runner, migration);
  const ran: string[] = [];
  for (const each of pending) {
    try {
      await runOne(runner, each, migration);
      ran.push(each.name);
    } catch (error) {
      if (each.planned.isNeeded === true || onLeft === undefined || signal.aborted) throw error;
      onLeft(each.name, error);
    }
  }
  return ran;
}

/** Makes the schema and the table in which migrations are recorded. */
async function createRecords(runner: QueryRunner, { definition, names }: Migration): Promise<void> {
  if (names.schema !== undefined) await runner.query(createSchemaText(names.schema));
  const primaryKey = definition.table + NAME_ENDINGS.migrationsPrimaryKey;
  await runner.query(`CREATE TABLE IF NOT EXISTS ${names.sqlMigrations} (
    id serial NOT NULL CONSTRAINT ${quoteIdentifier(primaryKey)} PRIMARY KEY,
    "timestamp" bigint NOT NULL,
    name character varying NOT NULL
  )`);
  await runner.query(
    `ALTER TABLE ${names.sqlMigrations} ADD COLUMN IF NOT EXISTS number integer,
      ADD COLUMN IF NOT EXISTS hash text`,
  );
}

/** Runs one migration, and records its number and the hash of its template. */
function runOne(
  runner: QueryRunner,
  { name, planned, definition }: PendingMigration,
  { names, deadline }: Migration,
): Promise<void> {
  const { number } = planned.migration;
  const hash = templateHash(planned.migration);
  return inTransaction(runner, async () => {
    // The server gives up before this process does, so that nothing is left behind there.
    const statementMs = Math.max(1, Math.floor(deadline - performance.now()));
    await runner.query(`SET LOCAL lock_timeout = ${Math.min(LOCK_TIMEOUT_MS, statementMs)}`);
    await runner.query(`SET LOCAL statement_timeout = ${statementMs}`);
    await runner.query(LIFT_TRANSACTION_TIMEOUT);
    if ((await planned.isSurpassed?.(queryOf(runner), names.schema)) !== true) {
      await runner.query(migrationText(definition, planned, names.schema));
    }
    await runner.query(
      `WITH known AS (
        UPDATE ${names.sqlMigrations} SET (number, hash) = ($3::integer, $4::text)
        WHERE name = $2::text RETURNING id)
      INSERT INTO ${names.sqlMigrations} ("timestamp", name, number, hash)
      SELECT $1::bigint, $2::text, $3::integer, $4::text WHERE NOT EXISTS (SELECT FROM known)`,
      [timestampOf(number), name, number, hash],
    );
  });
}

function queryOf(runner: QueryRunner): QueryFunction {
  return (sql, values) => runner.query(sql, values);
}

/** Runs `work` if the lock is free; undefined if another process has it. */
async function withLock<T>(
  { dataSource, names }: Migration,
  work: () => Promise<T>,
): Promise<T | undefined> {
  return withQueryRunner(dataSource, async (runner) => {
    const client = (await runner.connect()) as PoolClient;
    try {
      // The lock's transaction is idle while the other connection works; that is no mistake.
      const answers = (await client.query(
        `BEGIN ISOLATION LEVEL READ COMMITTED;
         SET LOCAL idle_in_transaction_session_timeout = 0;
         ${LIFT_TRANSACTION_TIMEOUT};
         SELECT pg_catalog.pg_try_advisory_xact_lock(${lockKey(dataSource, names)})::text AS got`,
      )) as unknown as QueryResult<{ got: string }>[];
      return answers.at(-1)?.rows[0]?.got === 'true' ? await work() : undefined;
    } finally {
      // If the connection is gone, so are its transaction and the lock.
      await client.query('ROLLBACK').catch(() => {});
    }
  });
}

/** A signed 64-bit number made from schema and table; locks of other databases are others. */
function lockKey({ driver }: DataSource, names: TableNames): bigint {
  const path = JSON.stringify([names.schema ?? driver.schema ?? null, names.entries]);
  return createHash('sha256').update(`nestjs-ledger:${path}`).digest().readBigInt64BE();
}

async function withQueryRunner<T>(
  dataSource: DataSource,
  work: (runner: QueryRunner) => Promise<T>,
): Promise<T> {
  const runner = dataSource.createQueryRunner('master');
  // Never released while connect() is pending; connectTimeoutMS ends that in any case.
  await runner.connect();
  try {
    return await work(runner);
  } finally {
    await runner.release();
  }
}

async function inTransaction(runner: QueryRunner, work: () => Promise<void>): Promise<void> {
  await runner.startTransaction();
  try {
    await work();
    await runner.commitTransaction();
  } catch (error) {
    // What the rollback says of a broken connection would hide why it was needed.
    await runner.rollbackTransaction().catch(() => {});
    throw error;
  }
}

function translate(error: unknown, definition: LedgerTable, isOver: boolean): unknown {
  const { name } = definition;
  if (isOver) {
    const message = `the migrations of ledger ${name} did not end in the time they had`;
    return new SinkTransientError(message, { outcomeKnown: true });
  }
  const { code, driverError } = error as { code?: unknown; driverError?: { code?: unknown } };
  const sqlState = driverError?.code ?? code;
  if (sqlState !== '42501') return error;
  return new SinkHaltError(
    `the role may not run the migrations of ledger ${name}: let the owner of its schema ` +
      `run \`${migrateCommand(definition)}\`, and set migrations: 'verify'`,
    { sqlState, cause: error },
  );
}
