import { translateReadError } from '../postgres/read-rows.js';
import type { LedgerTable } from '../entry/ledger-definition.js';
import { Deadline } from '../clock/deadline.js';
import type { SessionLender } from '../postgres/session-lender.interface.js';
import { parseReportQuery } from './parse-report-query.js';
import type { ReportRow } from '../ports/report-query.interface.js';
import { reportRow, reportSql } from './report-sql.js';

/** Time limit of a report in milliseconds, including its consumer's time. */
const TIMEOUT_MS = 600_000;
/** Maximum idle time of its consumer in milliseconds before the server ends it. */
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
  connections: SessionLender,
  query: unknown,
): AsyncGenerator<ReportRow, void, undefined> {
  const report = parseReportQuery(definition, query);
  return stream();

  async function* stream(): AsyncGenerator<ReportRow, void, undefined> {
    const deadline = new Deadline(TIMEOUT_MS);
    try {
      const session = await connections.begin(deadline, {
        isReadOnly: true,
        timeoutMs: TIMEOUT_MS,
        settings: { idle_in_transaction_session_timeout: String(IDLE_MS) },
      });
      try {
        const { text, values } = reportSql(definition, session.schema, report);
        for await (const page of session.pages(text, values, FETCH_ROWS)) {
          for (const row of page) yield reportRow(definition, report, row);
        }
      } finally {
        await session.rollback();
        await session.giveBack();
      }
    } catch (error) {
      throw translateReadError(error, deadline);
    }
  }
}
