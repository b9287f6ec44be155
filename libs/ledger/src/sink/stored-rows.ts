import type { WriteResult } from '../ports/ledger-sink.interface.js';
import type { StatementResult } from '../postgres/pg-statement.js';

/**
 * The result of a batch that the server accepted completely, from the number in its answer: `COPY
 * 17`, `INSERT 0 17`. Rows removed by a trigger or rule are not in that number. Source:
 * PostgreSQL's manual, "Message Formats", CommandComplete.
 *
 * @param count rows of the batch
 * @internal
 */
export function resultOfTag(count: number, result: StatementResult | undefined): WriteResult {
  const taken = { written: count, duplicates: [], conflicts: [] };
  const [, stored] = /^(?:COPY|INSERT \d+) (\d+)$/.exec(result?.tag ?? '') ?? [];
  const notStored = stored === undefined ? 0 : count - Number(stored);
  return notStored > 0 ? { ...taken, notStored } : taken;
}
