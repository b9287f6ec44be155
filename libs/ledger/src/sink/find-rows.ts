import { settingsCommand } from '../postgres/transaction-settings.js';
import type { RowBatch } from '../ports/ledger-sink.interface.js';
import { CommandStatement } from '../postgres/command-statement.js';
import type { PgSession } from '../postgres/pg-session.js';

/** Source: PostgreSQL's pg_type.dat. */
const UUID_OID = 2950;
const UUID_ARRAY_OID = 2951;
/** A row begins with its field count (2 bytes); the uuid's length (4) and bytes (16) follow. */
const UUID_FIELD = [2, 22] as const;

/**
 * Finds the rows that exist in the table, by uuid alone.
 *
 * @param sqlTable quoted and qualified
 * @returns indexes from 0, ascending
 * @throws StatementError
 * @internal
 */
export async function findRows(
  session: PgSession,
  batch: RowBatch,
  sqlTable: string,
): Promise<number[]> {
  const sql =
    'SELECT s.position FROM unnest($1::uuid[]) WITH ORDINALITY AS s (uuid, position) ' +
    `WHERE EXISTS (SELECT FROM ${sqlTable} t WHERE t.uuid = s.uuid) ORDER BY 1`;
  const parameters = [{ oid: UUID_ARRAY_OID, value: uuidArray(batch) }];
  const commands = [settingsCommand(session.deadline, false), { sql, parameters }];
  const results = await session.run(new CommandStatement(commands));
  return (results[1]?.rows ?? []).map(([position]) => Number(position) - 1);
}

/** Binary array: dimensions, "has NULLs", element type, length, lower bound, elements. */
function uuidArray(batch: RowBatch): Buffer {
  const header = Buffer.alloc(20);
  [1, 0, UUID_OID, batch.count, 1].forEach((value, index) => header.writeInt32BE(value, 4 * index));
  const fields = Array.from({ length: batch.count }, (_, index) =>
    batch.row(index).subarray(...UUID_FIELD),
  );
  return Buffer.concat([header, ...fields]);
}
