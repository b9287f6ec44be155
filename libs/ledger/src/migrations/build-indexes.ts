import { Deadline } from '../clock/deadline.js';
import { realTimers } from '../clock/real-timers.js';
import type { EntryIndex } from '../entry/entry-indexes.js';
import type { LedgerTable } from '../entry/ledger-definition.js';
import { loadCatalog } from '../postgres/load-catalog.js';
import { indexBody, makeIndexes } from '../postgres/make-indexes.js';
import type { PostgresOptions } from '../postgres/open.js';
import type { PgSession } from '../postgres/pg-session.js';
import { qualify } from '../postgres/quote-sql.js';
import { withShortLock } from '../postgres/short-lock.js';
import { tableNames } from '../postgres/table-names.js';
import { withConnections } from '../postgres/with-connections.js';
import { migrationLockKey, withMigrationLock } from './migration-lock.js';
import { adoptDefinition } from './plan-migrations.js';
import type { TableExtension } from '../postgres/sql-migration.interface.js';
import { missingIndexes, surplusIndexes } from './verify-indexes.js';

/** Options of `settleIndexes`. @internal */
export interface IndexLimits {
  /** Additions of optional folders: rollups in the database are read by additional indexes. */
  readonly extensions: readonly TableExtension[];
  /** Whether to drop indexes that the ledger once made and the definition does not request. */
  readonly dropsSurplus: boolean;
}

/** Names of indexes. @internal */
export interface IndexReport {
  readonly built: readonly string[];
  readonly dropped: readonly string[];
}

const NOTHING: IndexReport = { built: [], dropped: [] };
/** Milliseconds between two checks of the lock. */
const POLL_MS = 200;

/**
 * Builds the requested indexes that a table with entries lacks, and optionally drops others, while
 * writers continue. It runs outside a transaction, because `CREATE INDEX CONCURRENTLY` requires
 * that. Only one process works at a time. The others wait for it without a limit, because a person
 * can interrupt a command.
 *
 * @throws any error of the server; 42501 if the role is not the table's owner
 * @internal
 */
export async function settleIndexes(
  options: PostgresOptions,
  definition: LedgerTable,
  limits: IndexLimits,
): Promise<IndexReport> {
  const deadline = new Deadline(Number.POSITIVE_INFINITY);
  const { signal } = new AbortController();
  const opened = { applicationName: 'nestjs-ledger indexes', poolSize: 2, signal };
  return withConnections(options, opened, async (connections) => {
    const { driver } = await connections.ready();
    const names = tableNames(definition, options.schema);
    const key = migrationLockKey(names.schema ?? driver.schema ?? null, names);
    const placed = { ...definition, schema: names.schema };
    for (;;) {
      const work = await connections.use(deadline, (session) => findWork(session, placed, limits));
      if (work === undefined) return NOTHING;
      const done = await withMigrationLock({ connections, deadline, key }, () =>
        connections.use(deadline, async (session) => {
          // Another process may have done all work between the first check and the lock.
          const left = await findWork(session, placed, limits);
          return left === undefined ? NOTHING : settle(session, placed, left);
        }),
      );
      if (done) return done;
      await realTimers.pause(POLL_MS);
    }
  });
}

interface Work {
  readonly isPartitioned: boolean;
  readonly missing: readonly EntryIndex[];
  readonly surplus: readonly string[];
}

/** Undefined if there is nothing to do. */
async function findWork(
  session: PgSession,
  placed: LedgerTable,
  { extensions, dropsSurplus }: IndexLimits,
): Promise<Work | undefined> {
  const { query } = session;
  const { table, schema } = placed;
  const [found] = (await loadCatalog(query, [table], schema)).tables;
  if (!found) return undefined;
  const adopted = await adoptDefinition(query, placed, schema, extensions);
  const missing = missingIndexes(adopted, found);
  const surplus = dropsSurplus ? surplusIndexes(adopted, found).map(({ name }) => name) : [];
  if (missing.length === 0 && surplus.length === 0) return undefined;
  return { isPartitioned: found.kind === 'p', missing, surplus };
}

async function settle(
  session: PgSession,
  placed: LedgerTable,
  { isPartitioned, missing, surplus }: Work,
): Promise<IndexReport> {
  const wanted = missing.map((index) => ({ ...index, body: indexBody(index) }));
  await makeIndexes(session, placed, wanted);
  for (const name of surplus) {
    const sqlName = qualify(placed.schema, name);
    if (isPartitioned) {
      // The index of a partitioned table refuses CONCURRENTLY.
      await withShortLock(session, () => session.rows(`DROP INDEX IF EXISTS ${sqlName}`));
    } else {
      await session.rows(`DROP INDEX CONCURRENTLY IF EXISTS ${sqlName}`);
    }
  }
  return { built: missing.map(({ name }) => name), dropped: surplus };
}
