import type { PostgresAddress } from './parse-address.js';

/** Parameters of an address that determine TLS in `pg`. Source: pg-connection-string 2.14. */
const TLS: readonly string[] = [
  'ssl',
  'sslmode',
  'sslcert',
  'sslkey',
  'sslrootcert',
  'sslnegotiation',
  'uselibpqcompat',
];

/** Parts of the address itself, if written as parameters. */
const PARTS: readonly string[] = ['host', 'port', 'user', 'password', 'db', 'encoding'];

/** Parameters that the ledger itself reads. */
const OF_HOSTS: readonly string[] = ['target_session_attrs', 'load_balance_hosts'];

/**
 * Parameters of an address that `pg` uses for its session. Source: pg 8.23,
 * connection-parameters.js.
 */
const SESSION: readonly string[] = [
  'application_name',
  'fallback_application_name',
  'binary',
  'client_encoding',
  'idle_in_transaction_session_timeout',
  'lock_timeout',
  'options',
  'query_timeout',
  'replication',
  'statement_timeout',
];

/** All parameters that have an effect. @internal */
export const URL_PARAMETERS: readonly string[] = [...TLS, ...PARTS, ...OF_HOSTS, ...SESSION];

/** Whether the address has any TLS parameter. @internal */
export function hasTls({ parameters }: PostgresAddress): boolean {
  return TLS.some((name) => parameters.has(name));
}

/** The session parameters, in the form of `pg`'s options. @internal */
export function sessionOptions({ parameters }: PostgresAddress): Record<string, string> {
  return Object.fromEntries([...parameters].filter(([name]) => SESSION.includes(name)));
}
