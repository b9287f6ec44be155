import { execFile } from 'node:child_process';
import { createHash } from 'node:crypto';
import { chmod, lstat, mkdir, stat } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { dirname, join, resolve } from 'node:path';
import { promisify } from 'node:util';

const run = promisify(execFile);

/** The unprivileged account that the server runs under. */
export interface ServerAccount {
  readonly uid: number;
  readonly gid: number;
}

/**
 * The account that the server must run under, or undefined if this process may run it itself.
 * PostgreSQL refuses root, so root takes the owner of a kept data directory, else the account
 * `postgres`, else `nobody`.
 *
 * @param dataDir may not exist yet
 * @throws Error if this is root and the machine has neither account
 */
export async function chooseServerAccount(dataDir: string): Promise<ServerAccount | undefined> {
  if (process.getuid?.() !== 0) return undefined;
  const owner = await stat(dataDir).catch(() => undefined);
  if (owner && owner.uid !== 0) return { uid: owner.uid, gid: owner.gid };
  for (const name of ['postgres', 'nobody']) {
    const account = await findAccount(name);
    if (account) return account;
  }
  throw new Error('PostgreSQL refuses root, and there is no account postgres or nobody');
}

async function findAccount(name: string): Promise<ServerAccount | undefined> {
  try {
    const [uid, gid] = await Promise.all([run('id', ['-u', name]), run('id', ['-g', name])]);
    return { uid: Number(uid.stdout), gid: Number(gid.stdout) };
  } catch {
    return undefined;
  }
}

/**
 * Whether the account can walk to `path` and enter or run it, by the permission bits of every
 * folder on the way. True without an account if `path` exists; false if it doesn't.
 */
export async function canReach(path: string, account: ServerAccount | undefined): Promise<boolean> {
  for (let at = resolve(path); ; at = dirname(at)) {
    const facts = await stat(at).catch(() => undefined);
    if (!facts) return false;
    if (account && !mayEnter(facts, account)) return false;
    if (at === dirname(at)) return true;
  }
}

function mayEnter(
  facts: { uid: number; gid: number; mode: number },
  account: ServerAccount,
): boolean {
  if (facts.uid === account.uid) return (facts.mode & 0o100) !== 0;
  if (facts.gid === account.gid) return (facts.mode & 0o010) !== 0;
  return (facts.mode & 0o001) !== 0;
}

/**
 * A folder that the account can reach, the same one at each call with the same key: for what would
 * otherwise lie where the account may not go.
 *
 * @param key a path; the folder's name is made from it
 * @throws Error if there is no such place, or the folder belongs to a stranger
 */
export async function makeShelter(
  key: string,
  account: ServerAccount | undefined,
): Promise<string> {
  const id = `${process.getuid?.() ?? ''}:${resolve(key)}`;
  const name = `nestjs-ledger-${createHash('sha256').update(id).digest('hex').slice(0, 16)}`;
  // /var/tmp comes first since it outlives a restart of the machine.
  for (const parent of ['/var/tmp', tmpdir(), '/tmp']) {
    if (!(await canReach(parent, account))) continue;
    const folder = join(parent, name);
    await mkdir(folder, { mode: 0o755 }).catch((error: NodeJS.ErrnoException) => {
      if (error.code !== 'EEXIST') throw error;
    });
    const facts = await lstat(folder);
    // Anyone may make folders in /tmp: one that a stranger prepared is not trusted.
    if (facts.isDirectory() && facts.uid === process.getuid?.()) {
      await chmod(folder, 0o755);
      return folder;
    }
    throw new Error(`${folder} exists and does not belong to this account: remove it`);
  }
  throw new Error('no folder for temporary files that the account of PostgreSQL can reach');
}
