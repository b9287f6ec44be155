import { connectionSchema } from '../postgres/connection-schema.js';
import { translateReadError } from '../postgres/read-rows.js';
import type { LedgerTable } from '../entry/ledger-definition.js';
import { LIFT_TRANSACTION_TIMEOUT } from '../postgres/transaction-timeout.js';
import { Deadline } from '../clock/deadline.js';
import type { PgConnections } from '../postgres/pg-connections.js';
import { parseReportQuery } from './parse-report-query.js';
import { PgSession } from '../postgres/pg-session.js';
import type { ReportRow } from '../ports/report-query.interface.js';
import { reportRow, reportSql } from './report-sql.js';

/** Milliseconds that a report may take in all, its reader's own time included. */
const TIMEOUT_MS = 600_000;
/** Milliseconds that its reader may leave it alone before the server ends it. */
const IDLE_MS = 60_000;
/** Rows of one round trip; as many are in memory at once. */
const FETCH_ROWS = 1_000;

/**
 * Streams a report from a cursor: one snapshot, rows of one round trip in memory. It holds one
 * connection until it is read to its end or left.
 *
 * @throws LedgerReadError at once for a wrong argument, else while it is read
 */
export function streamReport(
  definition: LedgerTable,
  connections: PgConnections,
  query: unknown,
): AsyncGenerator<ReportRow, void, undefined> {
  const report = parseReportQuery(definition, query);
  return stream();

  async function* stream(): AsyncGenerator<ReportRow, void, undefined> {
    const deadline = new Deadline(TIMEOUT_MS);
    try {
      const lease = await connections.take(deadline);
      const session = new PgSession(lease, deadline);
      try {
        const { text, values } = reportSql(
          definition,
          connectionSchema(await connections.ready()),
          report,
        );
        await session.rows('BEGIN READ ONLY');
        await session.rows(LIFT_TRANSACTION_TIMEOUT);
        await session.rows(`SET LOCAL statement_timeout = ${TIMEOUT_MS}`);
        await session.rows(`SET LOCAL idle_in_transaction_session_timeout = ${IDLE_MS}`);
        await session.rows(`DECLARE report NO SCROLL CURSOR FOR ${text}`, values);
        for (let isMore = true; isMore;) {
          const rows = await session.rows(`FETCH ${FETCH_ROWS} FROM report`);
          isMore = rows.length === FETCH_ROWS;
          for (const row of rows) yield reportRow(definition, report, row);
        }
      } finally {
        if (lease.isHeld) await session.rows('ROLLBACK').catch(() => []);
        await lease.giveBack();
      }
    } catch (error) {
      throw translateReadError(error, deadline);
    }
  }
}
