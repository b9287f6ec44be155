/**
 * Default limit in milliseconds for one connection; without a limit `connect()` can wait forever.
 *
 * @internal
 */
export const CONNECT_TIMEOUT_MS = 10_000;

/**
 * Connections of a ledger's own pool in addition to those of its workers: for reads, health,
 * rollups, dead letters, partitions. Source: contract.
 *
 * @internal
 */
export const SPARE_CONNECTIONS = 2;

/**
 * Connections that the server reserves for superusers by default. Source:
 * https://www.postgresql.org/docs/current/runtime-config-connection.html
 *
 * @internal
 */
export const RESERVED_CONNECTIONS = 3;
