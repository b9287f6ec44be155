import { settingsCommand } from './transaction-settings.js';
import type { TextRow } from './pg-statement.js';
import { LedgerReadError } from '../errors/ledger-read.error.js';
import { isLedgerError } from '../errors/is-ledger-error.js';
import { CommandStatement } from './command-statement.js';
import { Deadline } from '../clock/deadline.js';
import type { SessionLender } from './session-lender.interface.js';
import { StatementError } from './pg-lease.js';

/** One statement with its parameters; each parameter is text, cast in the SQL. */
export interface ReadStatement {
  readonly text: string;
  readonly values: readonly string[];
}

/** Collects parameters, each cast at its place in the SQL. */
export class SqlParameters {
  readonly values: string[] = [];

  add(value: string, type: string): string {
    this.values.push(value);
    return `$${this.values.length}::${type}`;
  }
}

/** Object id of type `text`. Source: pg_type.dat. */
const TEXT_OID = 25;
/** SQLSTATEs of a statement cancelled at `statement_timeout` or `lock_timeout`. */
const SERVER_GAVE_UP = ['57014', '55P03'];
/** JIT is off, because compiling a query of a few rows takes longer than running it. */
const READ_ONLY = "set_config('transaction_read_only', 'on', true), set_config('jit', 'off', true)";

/**
 * Runs one SELECT in its own read-only transaction, in one round trip. It bypasses TypeORM's query
 * logger, because parameters are users' ids. Answers are the server's text, independent of the
 * application's parsers.
 *
 * @param makeStatement receives the schema of the connection
 * @param timeoutMs for everything, including the wait for a connection
 * @throws LedgerReadError `timeout` or `failed`, without SQL, parameters or the server's text
 */
export async function readRows(
  connections: SessionLender,
  makeStatement: (schema: string | undefined) => ReadStatement,
  timeoutMs: number,
): Promise<readonly TextRow[]> {
  const deadline = new Deadline(timeoutMs);
  try {
    return await connections.use(deadline, async (session) => {
      const { text, values } = makeStatement(session.schema);
      const parameters = values.map((value) => ({ oid: TEXT_OID, value: Buffer.from(value) }));
      const settings = `${settingsCommand(session.deadline, false).sql}, ${READ_ONLY}`;
      const commands = [
        { sql: settings, parameters: [] },
        { sql: text, parameters },
      ];
      const results = await session.run(new CommandStatement(commands));
      return results[1]?.rows ?? [];
    });
  } catch (error) {
    throw translateReadError(error, deadline);
  }
}

/**
 * A LedgerReadError is returned unchanged; of all others only code and kind are reported.
 *
 * @internal
 */
export function translateReadError(error: unknown, deadline: Deadline): LedgerReadError {
  if (error instanceof LedgerReadError) return error;
  const sqlState = sqlStateOf(error);
  const hasGivenUp = sqlState !== undefined && SERVER_GAVE_UP.includes(sqlState);
  // Timers count whole milliseconds, so the limit may take effect within the last one.
  return hasGivenUp || deadline.remainingMs < 1
    ? new LedgerReadError('timeout', 'read', 'took too long', sqlState)
    : new LedgerReadError('failed', 'read', 'got no answer from the database', sqlState);
}

function sqlStateOf(error: unknown): string | undefined {
  if (error instanceof StatementError) return error.failure.code;
  if (isLedgerError(error)) return 'sqlState' in error ? (error.sqlState as string) : undefined;
  // The code of an error of `pg` is a SQLSTATE or a socket code.
  const { code } = error as { code?: unknown };
  return typeof code === 'string' ? code : undefined;
}
