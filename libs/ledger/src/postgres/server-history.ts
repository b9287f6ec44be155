import type { ServerHistory } from '../segments/settled-frame.js';
import type { PgSession } from './pg-session.js';

/** Any role may call both. Source: https://www.postgresql.org/docs/18/functions-info.html, functions-admin.html. */
const QUESTION = `SELECT (SELECT system_identifier FROM pg_catalog.pg_control_system()),
  pg_catalog.pg_walfile_name(pg_catalog.pg_current_wal_lsn())`;

/**
 * A WAL file's name begins with the timeline, in eight hex digits. Source: PostgreSQL's
 * xlog_internal.h.
 */
const TIMELINE = /^[0-9A-F]{8}/;

/**
 * Reads the history of a session's server, even behind a pooler.
 *
 * @returns undefined if the answer has no timeline
 * @throws the error of `pg`, or DeadlineError; a standby refuses with 55000
 * @internal
 */
export async function readServerHistory(session: PgSession): Promise<ServerHistory | undefined> {
  const [row] = await session.texts(QUESTION);
  const [system, file] = row ?? [];
  const [timeline] = TIMELINE.exec(file ?? '') ?? [];
  if (!system || timeline === undefined) return undefined;
  // The server shows the 64 bits as a signed number.
  return {
    systemIdentifier: BigInt.asUintN(64, BigInt(system)),
    timeline: Number.parseInt(timeline, 16),
  };
}
