import { Deadline } from '../clock/deadline.js';
import type { LedgerTable } from '../entry/ledger-definition.js';
import type { PgConnections } from '../postgres/pg-connections.js';
import { sqlStateOf } from '../postgres/read-pg-error.js';
import { tableNames } from '../postgres/table-names.js';

/** Milliseconds for the query, including its connection. */
const ASK_MS = 10_000;

/** The identity stored with a table. @internal */
export interface TableIdentity {
  /** Undefined: the migration that stores it has not run, or this role may not read it. */
  readonly id: string | undefined;
  readonly database: string;
  /** Schema of the table; undefined if there is none. */
  readonly schema: string | undefined;
}

/**
 * Undefined table, insufficient privilege, invalid schema name. Source: PostgreSQL's manual,
 * appendix A.
 */
const UNREADABLE = new Set(['42P01', '42501', '3F000']);

/**
 * Reads the id that a migration stored next to the entries, and their location.
 *
 * @throws the error of pg if the query fails
 * @internal
 */
export async function readIdentity(
  connections: PgConnections,
  table: LedgerTable,
): Promise<TableIdentity> {
  return connections.use(new Deadline(ASK_MS), async (session) => {
    const { sqlEntries, sqlIdentity } = tableNames(table, session.schema);
    const [place] = await session.rows<{ database: string; schema: string | null }>(
      `SELECT current_database() AS database, (
        SELECT n.nspname FROM pg_catalog.pg_class c
        JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace
        WHERE c.oid = pg_catalog.to_regclass($1)
      ) AS schema`,
      [sqlEntries],
    );
    const { database, schema } = place!;
    const where = { database, schema: schema ?? undefined };
    try {
      const [row] = await session.rows<{ id: string }>(
        `SELECT id::text AS id FROM ${sqlIdentity} ORDER BY created_at, id LIMIT 1`,
      );
      return { ...where, id: row?.id };
    } catch (error) {
      if (!UNREADABLE.has(sqlStateOf(error) ?? '')) throw error;
      return { ...where, id: undefined };
    }
  });
}
