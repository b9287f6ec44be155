/**
 * The consequence of a failure for the batch.
 *
 * - `transient`: the server or the connection is at fault; retry the same batch later.
 * - `unknown`: transient, and the server itself can't tell whether the batch was committed.
 * - `row`: a row is at fault, if the server names one.
 * - `exists`: a row's key exists: a plain duplicate, or a row at fault.
 * - `halt`: no batch can be written until a person corrects the cause.
 * - `no-copy`: this table or connection accepts no COPY.
 *
 * @internal
 */
export type Verdict = 'transient' | 'unknown' | 'row' | 'exists' | 'halt' | 'no-copy';

/**
 * All SQLSTATEs that the ledger distinguishes: codes of five characters first, then classes of two.
 * Any other is transient without a named row, and a row at fault with one: a user's trigger may
 * raise any code. Source: PostgreSQL 18, appendix A; the verdicts from the faults of the int-spec.
 *
 * @internal
 */
export const SQL_STATES: Readonly<Record<string, readonly [name: string, verdict: Verdict]>> = {
  '08007': ['transaction_resolution_unknown', 'unknown'],
  '08P01': ['protocol_violation', 'transient'],
  '08': ['connection exception', 'transient'],
  '0A000': ['feature_not_supported', 'no-copy'],
  '0A': ['feature not supported', 'no-copy'],
  '22P04': ['bad_copy_file_format', 'halt'],
  '22': ['data exception', 'row'],
  '22001': ['string_data_right_truncation', 'row'],
  '22003': ['numeric_value_out_of_range', 'row'],
  '22P02': ['invalid_text_representation', 'row'],
  '22P03': ['invalid_binary_representation', 'halt'],
  '22P05': ['untranslatable_character', 'row'],
  '23502': ['not_null_violation', 'row'],
  '23503': ['foreign_key_violation', 'row'],
  '23505': ['unique_violation', 'exists'],
  '23514': ['check_violation', 'row'],
  '23P01': ['exclusion_violation', 'row'],
  '23': ['integrity constraint violation', 'row'],
  '25006': ['read_only_sql_transaction', 'transient'],
  '25P02': ['in_failed_sql_transaction', 'transient'],
  '25': ['invalid transaction state', 'transient'],
  '28P01': ['invalid_password', 'halt'],
  '28': ['invalid authorization', 'halt'],
  '3D': ['invalid catalog name', 'halt'],
  '3F': ['invalid schema name', 'halt'],
  '40001': ['serialization_failure', 'transient'],
  '40003': ['statement_completion_unknown', 'unknown'],
  '40P01': ['deadlock_detected', 'transient'],
  '40': ['transaction rollback', 'transient'],
  '42501': ['insufficient_privilege', 'halt'],
  '42703': ['undefined_column', 'halt'],
  '42804': ['datatype_mismatch', 'halt'],
  // COPY to a view, through which INSERT may write.
  '42809': ['wrong_object_type', 'no-copy'],
  '42P01': ['undefined_table', 'halt'],
  '42P10': ['invalid_column_reference', 'halt'],
  '42': ['syntax error or access rule violation', 'halt'],
  '44': ['with check option violation', 'row'],
  '53100': ['disk_full', 'transient'],
  '53200': ['out_of_memory', 'transient'],
  '53300': ['too_many_connections', 'transient'],
  '53': ['insufficient resources', 'transient'],
  // For example a value too long for an index: waiting does not make it shorter.
  '54': ['program limit exceeded', 'row'],
  // INSERT into a view that accepts no rows: waiting does not change it.
  '55000': ['object_not_in_prerequisite_state', 'halt'],
  '55P03': ['lock_not_available', 'transient'],
  '55': ['object not in prerequisite state', 'transient'],
  '57014': ['query_canceled', 'transient'],
  '57P01': ['admin_shutdown', 'transient'],
  '57P02': ['crash_shutdown', 'transient'],
  '57P03': ['cannot_connect_now', 'transient'],
  '57': ['operator intervention', 'transient'],
  '58030': ['io_error', 'transient'],
  '58': ['system error', 'transient'],
  F0: ['configuration file error', 'transient'],
  P0001: ['raise_exception', 'row'],
  P0: ['PL/pgSQL error', 'row'],
  XX: ['internal error', 'transient'],
};

/** Socket and resolver codes of Node, all transient, with their usual words. */
const SOCKET_CODES: Readonly<Record<string, string>> = {
  ECONNREFUSED: 'connection refused',
  ECONNRESET: 'connection reset',
  ECONNABORTED: 'connection aborted',
  EPIPE: 'connection closed by the server',
  ETIMEDOUT: 'connection timed out',
  EHOSTUNREACH: 'host unreachable',
  ENETUNREACH: 'network unreachable',
  ENOTFOUND: 'host name not found',
  EAI_AGAIN: 'name server away',
  ENOENT: 'no such socket',
  EACCES: 'no permission for the socket',
  EMFILE: 'too many open files',
  ERR_STREAM_DESTROYED: 'connection destroyed',
};

/** @returns the entry of a SQLSTATE or of its class; undefined if neither is listed @internal */
export function lookUpSqlState(
  sqlState: string,
): { readonly name: string; readonly verdict: Verdict } | undefined {
  const found = SQL_STATES[sqlState] ?? SQL_STATES[sqlState.slice(0, 2)];
  return found && { name: found[0], verdict: found[1] };
}

/** The name of a SQLSTATE or socket code, or undefined. @internal */
export function nameOfCode(code: string): string | undefined {
  return SOCKET_CODES[code] ?? lookUpSqlState(code)?.name;
}
