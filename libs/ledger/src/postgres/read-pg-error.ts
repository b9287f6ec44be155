import { isLedgerError } from '../errors/is-ledger-error.js';
import { ConnectError, describeConnectFailure, NoServerError } from './connect-error.js';
import { describePlace, shown, type DatabaseTarget } from './describe-target.js';
import { nameOfCode } from './sql-states.js';

/** A failure without the server's text, which may contain users' values. @internal */
export interface PgFailure {
  /** SQLSTATE if `isAnswer`, else a socket code; undefined if there was none. */
  readonly code: string | undefined;
  /** True if the server sent it as an ErrorResponse. */
  readonly isAnswer: boolean;
  /** True if the answer certainly ended the session; a server may translate the word for it. */
  readonly isFatal: boolean;
  readonly schema: string | undefined;
  readonly table: string | undefined;
  readonly constraint: string | undefined;
  readonly column: string | undefined;
  /** The server named a different table than COPY's target, for example a partition of it. */
  readonly isElsewhere: boolean;
  /** Row of the COPY from 1, if the server named one. */
  readonly rowNumber: number | undefined;
  /** The library's own message with code and name. */
  readonly text: string;
  /** Suitable for a `cause`: codes and names only. */
  readonly cause: Error;
}

/** An error of `pg`, or TypeORM's wrapper around it. */
interface RawError {
  readonly code?: unknown;
  readonly severity?: unknown;
  readonly where?: unknown;
  readonly schema?: unknown;
  readonly table?: unknown;
  readonly constraint?: unknown;
  readonly column?: unknown;
  readonly driverError?: unknown;
  readonly message?: unknown;
  readonly name?: unknown;
}

/**
 * Extracts the safe parts of any error of `pg`, TypeORM or Node.
 *
 * @param target unquoted name of COPY's table; undefined if there was no COPY
 * @internal
 */
export function readPgError(error: unknown, target?: string): PgFailure {
  if (error instanceof ConnectError) return readConnectError(error);
  const raw = unwrap(error);
  const code = text(raw.code);
  const severity = text(raw.severity);
  const isAnswer = code?.length === 5 && severity !== undefined;
  const place = isAnswer && target ? readPlace(text(raw.where), target) : undefined;
  const failure = {
    code,
    isAnswer,
    // The server translates it, a pooler does not.
    isFatal: isAnswer && (severity === 'FATAL' || severity === 'PANIC'),
    schema: isAnswer ? text(raw.schema) : undefined,
    table: isAnswer ? text(raw.table) : undefined,
    isElsewhere: isAnswer && target !== undefined && (text(raw.table) ?? target) !== target,
    constraint: isAnswer ? text(raw.constraint) : undefined,
    column: (isAnswer ? text(raw.column) : undefined) ?? place?.column,
    rowNumber: place?.rowNumber,
  };
  const words = describe(failure, raw);
  return { ...failure, text: words, cause: causeOf(failure, words) };
}

/** The underlying failure, with the target in its message. */
function readConnectError({ reason, target }: ConnectError): PgFailure {
  if (reason instanceof NoServerError) return readNoServer(reason, target);
  const failure = readPgError(reason);
  if (isLedgerError(reason)) return failure;
  const message = text(unwrap(reason).message) ?? '';
  const words = describeConnectFailure({ code: failure.code, message }, target, failure.text);
  return { ...failure, text: words, cause: causeOf(failure, words) };
}

/**
 * The failures of several servers: `host h1:5432: connection refused (ECONNREFUSED); host h2:5432:
 * …`.
 */
function readNoServer({ refusals }: NoServerError, target: DatabaseTarget): PgFailure {
  const each = refusals.map(([place, why]) => `${describePlace(place)}: ${readPgError(why).text}`);
  const names = `database ${shown(target.database)}, user ${shown(target.user)}`;
  const words = `no server takes a connection that can write (${each.join('; ')}), ${names}`;
  // It is not the answer of one server, and another server may be promoted at any time.
  const failure = { ...readPgError(refusals[0]?.[1]), isAnswer: false };
  return { ...failure, text: words, cause: causeOf(failure, words) };
}

function unwrap(error: unknown): RawError {
  if (error instanceof ConnectError) return unwrap(error.reason);
  const raw = (typeof error === 'object' && error !== null ? error : {}) as RawError;
  return typeof raw.driverError === 'object' && raw.driverError !== null ? raw.driverError : raw;
}

function text(value: unknown): string | undefined {
  return typeof value === 'string' && value !== '' ? value : undefined;
}

/**
 * Finds `COPY usage_entries, line 1235, column memo`. COPY's own line is last, because it is the
 * outermost context; a trigger's lines before it may contain similar text of users. The server
 * translates the words (`Zeile 1235, Spalte memo`), but not name and number; some languages have
 * another order (`usage_entries 복사, 1235번째 줄, memo 열`). Source: the translations of postgres,
 * PostgreSQL 15.
 */
function readPlace(
  where: string | undefined,
  target: string,
): { rowNumber: number; column: string | undefined } | undefined {
  const last = where?.split('\n').at(-1) ?? '';
  const starts = [`COPY ${target}`, `${target}のCOPY`, `${target} 복사`];
  const start = starts.find((each) => last.startsWith(each));
  if (start === undefined) return undefined;
  const found = PLACE.exec(last.slice(start.length));
  if (!found) return undefined;
  const [, row, ...words] = found;
  // Of the word for "column" and the column's name, only the name is an identifier, or it is the
  // last.
  return { rowNumber: Number(row), column: words.findLast((word) => /^\w+$/.test(word ?? '')) };
}

/** `, line 1235, column memo` in any language. */
const PLACE = /^[,，、]\D{0,40}(\d{1,9})[^\d,，、]{0,20}(?:[,，、] ?(\S+) (\S+))?$/;

type Names = Omit<PgFailure, 'text' | 'cause'>;

function describe(names: Names, raw: RawError): string {
  const { code, isAnswer, constraint, column, table } = names;
  // Its code is one of the library's, and its message contains the remedy.
  if (isLedgerError(raw)) return raw.message;
  if (code === undefined) return describeUncoded(raw);
  const name = nameOfCode(code);
  const parts = [name ? `${name} (${code})` : code];
  if (!isAnswer) return parts[0]!;
  if (constraint) parts.push(`constraint ${constraint}`);
  if (column) parts.push(`column ${column}`);
  if (table) parts.push(`table ${table}`);
  return parts.join(', ');
}

/** Errors of `pg` itself (`Connection terminated unexpectedly`): they contain no row or value. */
function describeUncoded(raw: RawError): string {
  const message = text(raw.message)?.split('\n')[0]?.slice(0, 200);
  return message?.replace(/\S+:\/\/\S+/g, '(address)') ?? text(raw.name) ?? 'unknown error';
}

function causeOf(names: Names, words: string): Error {
  const cause = new Error(words);
  cause.name = names.isAnswer ? 'PostgresError' : 'ConnectionError';
  const { code, schema, table, constraint, column } = names;
  return Object.assign(cause, { code, schema, table, constraint, column });
}

/** The SQLSTATE of pg's error, or of TypeORM's around it. @internal */
export function sqlStateOf(error: unknown): string | undefined {
  const { code } = unwrap(error);
  return typeof code === 'string' ? code : undefined;
}
