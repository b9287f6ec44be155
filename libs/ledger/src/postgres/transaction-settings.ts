import type { Deadline } from '../clock/deadline.js';
import type { Command } from './frontend-messages.js';

/**
 * Shares of the remaining time: the server's limits are shorter, so that its answer arrives in
 * time.
 */
const LOCK_SHARE = 0.8;
const STATEMENT_SHARE = 0.9;

/**
 * Settings for one transaction by name.
 *
 * Before it copies, COPY waits for locks. Once it reads rows, no time limit of the server ends it:
 * it would wait for a silent client as long as TCP does, two hours by default, and its uncommitted
 * rows would block the batch's next attempt. Keepalive prevents that. Source:
 * HOLD_CANCEL_INTERRUPTS in PostgreSQL's copyfromparse.c.
 *
 * Rows are UTF-8. A hook of the application's pool may have set another `client_encoding`, with
 * which the server would store different text.
 *
 * @internal
 */
export function transactionSettings(deadline: Deadline, isAwaited: boolean): [string, string][] {
  const ms = (share: number): string =>
    String(Math.max(1, Math.floor(deadline.remainingMs * share)));
  const settings: [string, string][] = [
    ['lock_timeout', ms(LOCK_SHARE)],
    ['statement_timeout', ms(STATEMENT_SHARE)],
    ['tcp_keepalives_idle', '10'],
    ['tcp_keepalives_interval', '5'],
    ['tcp_keepalives_count', '3'],
    ['client_encoding', 'UTF8'],
  ];
  if (isAwaited) settings.push(['synchronous_commit', 'on']);
  return settings;
}

/** The settings of a transaction as its first command. @internal */
export function settingsCommand(deadline: Deadline, isAwaited: boolean): Command {
  const calls = transactionSettings(deadline, isAwaited).map(
    ([name, value]) => `set_config('${name}', '${value}', true)`,
  );
  return { sql: `SELECT ${calls.join(', ')}`, parameters: [] };
}
