/**
 * Lifts `transaction_timeout` of role or database for a transaction that may take long, as others of
 * its limits are set anew; PostgreSQL knows it from 17 on.
 *
 * @internal
 */
export const LIFT_TRANSACTION_TIMEOUT = `SELECT set_config(name, '0', true)
  FROM pg_catalog.pg_settings WHERE name = 'transaction_timeout'`;
