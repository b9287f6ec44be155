/**
 * Milliseconds that one connection may take, unless the options say otherwise: without a limit
 * `connect()` can wait for ever.
 *
 * @internal
 */
export const CONNECT_TIMEOUT_MS = 10_000;

/**
 * Connections of a ledger's own pool beside those of its workers: for reads, health, rollups, dead
 * letters, partitions. Source: contract.
 *
 * @internal
 */
export const SPARE_CONNECTIONS = 2;

/**
 * Connections that the server keeps for superusers unless told otherwise.
 * Source: https://www.postgresql.org/docs/current/runtime-config-connection.html
 *
 * @internal
 */
export const RESERVED_CONNECTIONS = 3;
