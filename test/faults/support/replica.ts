import { chooseServerAccount } from '@app/embedded-postgres';
import { execFile } from 'node:child_process';
import { appendFile, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { promisify } from 'node:util';
import pg from 'pg';

const run = promisify(execFile);
const WAIT_MS = 20_000;
/** What belongs to the primary's process, and what a standby makes itself. */
const NOT_COPIED = ['postmaster.pid', 'postmaster.opts', 'server.log'];

/**
 * Copies a running primary's data directory as the base of a streaming, asynchronous standby. The npm
 * package has no `pg_basebackup`; this is what that does.
 * Source: https://www.postgresql.org/docs/18/continuous-archiving.html, "Making a Base Backup Using the
 * Low Level API".
 *
 * @param to must not exist
 */
export async function copyAsStandby(url: string, from: string, to: string): Promise<void> {
  const account = await chooseServerAccount(from);
  const primary = new pg.Client({ connectionString: url });
  await primary.connect();
  try {
    await primary.query(`SELECT pg_backup_start('standby', true)`);
    await run('cp', ['-a', from, to]);
    const { rows } = await primary.query<{ labelfile: string }>(
      'SELECT * FROM pg_backup_stop(false)',
    );
    for (const name of NOT_COPIED) await rm(join(to, name), { force: true });
    const { hostname, port, username, password } = new URL(url);
    const conninfo = `host=${hostname} port=${port} user=${username} password=${password}`;
    await writeFile(join(to, 'backup_label'), rows[0]!.labelfile);
    await writeFile(join(to, 'standby.signal'), '');
    await appendFile(join(to, 'postgresql.auto.conf'), `primary_conninfo = '${conninfo}'\n`);
  } finally {
    await primary.end();
  }
  if (account) await run('chown', ['-R', `${account.uid}:${account.gid}`, to]);
}

/** Asks again until the answer is true. @throws Error with the question after 20 s */
export async function waitUntil(
  question: string | (() => string),
  ask: () => Promise<boolean>,
): Promise<void> {
  const end = performance.now() + WAIT_MS;
  while (!(await ask())) {
    if (performance.now() > end) {
      throw new Error(`not in time: ${typeof question === 'string' ? question : question()}`);
    }
    await delay(20);
  }
}
