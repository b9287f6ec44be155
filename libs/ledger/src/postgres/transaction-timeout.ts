/**
 * Removes the `transaction_timeout` of role or database for a long transaction, whose other limits
 * are set too. PostgreSQL has the setting from 17 on.
 *
 * @internal
 */
export const LIFT_TRANSACTION_TIMEOUT = `SELECT set_config(name, '0', true)
  FROM pg_catalog.pg_settings WHERE name = 'transaction_timeout'`;
