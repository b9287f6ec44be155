import { execFile } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import {
  chown,
  mkdir,
  readdir,
  readFile,
  realpath,
  rename,
  rm,
  stat,
  writeFile,
} from 'node:fs/promises';
import { basename, dirname, join, resolve } from 'node:path';
import { promisify } from 'node:util';
import type { PostgresPrograms } from './postgres-package.js';
import { isAlive } from './postmaster-file.js';
import { canReach, makeShelter, type ServerAccount } from './server-account.js';

const run = promisify(execFile);

/** Name of the superuser that a new cluster has. */
export const SUPERUSER = 'postgres';
const PASSWORD_FILE = 'superuser.password';
/** Stands in the name of a cluster in the making, before the pid of its maker. */
const DRAFT_MARK = '.new-';

/** A cluster that is ready to be started. */
export interface DataDirectory {
  /** Absolute; differs from what was asked for if the server's account could not reach that. */
  readonly path: string;
  readonly password: string;
}

/** Where a cluster is to be. */
export interface DataLocation {
  /** Absolute. */
  readonly path: string;
  /** The folder that was made for it alone, if it is not where it was wanted. */
  readonly shelter?: string;
}

/**
 * The wanted data directory if the server's account can reach it, else one in its place that is the
 * same at every start.
 *
 * @param wanted need not exist; folders above it are made
 */
export async function locateDataDirectory(
  wanted: string,
  account: ServerAccount | undefined,
): Promise<DataLocation> {
  await mkdir(dirname(resolve(wanted)), { recursive: true });
  // A server is known by its path, which must therefore be spelled one way only.
  const parent = await realpath(dirname(resolve(wanted)));
  const named = join(parent, basename(resolve(wanted)));
  const path = await realpath(named).catch(() => named);
  if (await canReach(dirname(path), account)) return { path };
  const shelter = await makeShelter(path, account);
  return { path: join(shelter, 'data'), shelter };
}

/**
 * Gives a cluster at `path`: the kept one, or a new one with a random password for its superuser.
 * A process that dies in the middle leaves nothing that a later start would take for a cluster.
 */
export async function prepareDataDirectory(
  path: string,
  programs: PostgresPrograms,
  account: ServerAccount | undefined,
): Promise<DataDirectory> {
  const kept = await readPassword(path);
  if (kept !== undefined) return { path, password: kept };
  if (await exists(join(path, 'PG_VERSION'))) {
    throw new Error(`${path} holds a cluster that was not made here: move it away`);
  }
  await removeDeadDrafts(path);
  const draft = `${path}${DRAFT_MARK}${process.pid}`;
  const passwordFile = `${draft}.password`;
  const password = randomBytes(24).toString('base64url');
  try {
    await makeFor(account, draft, passwordFile, password);
    await initialise(draft, programs, { passwordFile, account });
    // From here on the cluster and its password move as one.
    await rename(passwordFile, join(draft, PASSWORD_FILE));
    await rename(draft, path);
    return { path, password };
  } catch (error) {
    // Another process starting at the same time may have been first.
    const others = await readPassword(path);
    if (others === undefined) throw error;
    return { path, password: others };
  } finally {
    await rm(draft, { recursive: true, force: true });
    await rm(passwordFile, { force: true });
  }
}

async function removeDeadDrafts(path: string): Promise<void> {
  const prefix = basename(path) + DRAFT_MARK;
  for (const name of await readdir(dirname(path))) {
    const maker = name.startsWith(prefix) ? parseInt(name.slice(prefix.length), 10) : NaN;
    if (Number.isNaN(maker) || (maker !== process.pid && isAlive(maker))) continue;
    await rm(join(dirname(path), name), { recursive: true, force: true });
  }
}

async function makeFor(
  account: ServerAccount | undefined,
  draft: string,
  passwordFile: string,
  password: string,
): Promise<void> {
  await mkdir(draft, { mode: 0o700 });
  await writeFile(passwordFile, password, { mode: 0o600, flag: 'wx' });
  if (!account) return;
  await chown(draft, account.uid, account.gid);
  await chown(passwordFile, account.uid, account.gid);
}

async function initialise(
  draft: string,
  programs: PostgresPrograms,
  how: { passwordFile: string; account: ServerAccount | undefined },
): Promise<void> {
  const args = [
    `--pgdata=${draft}`,
    `--username=${SUPERUSER}`,
    `--pwfile=${how.passwordFile}`,
    '--auth=scram-sha-256',
    '--encoding=UTF8',
    '--locale=C',
    '--locale-provider=builtin',
    '--builtin-locale=C.UTF-8',
    '--no-sync',
    '--no-instructions',
  ];
  try {
    await run(programs.initdb, args, { ...how.account, cwd: '/', env: serverEnvironment() });
  } catch (error) {
    const said = (error as { stderr?: string }).stderr ?? '';
    throw new Error(`initdb failed in ${draft}: ${said.trim()}`, { cause: error });
  }
}

/** Environment of the server's programs: none of the caller's `PG…` variables, messages in English. */
export function serverEnvironment(): NodeJS.ProcessEnv {
  return { PATH: process.env['PATH'], LC_ALL: 'C', TZ: 'UTC' };
}

async function readPassword(path: string): Promise<string | undefined> {
  if (!(await exists(join(path, 'PG_VERSION')))) return undefined;
  return readFile(join(path, PASSWORD_FILE), 'utf8').catch((error: NodeJS.ErrnoException) => {
    if (error.code === 'ENOENT') return undefined;
    throw error;
  });
}

async function exists(path: string): Promise<boolean> {
  return stat(path).then(
    () => true,
    (error: NodeJS.ErrnoException) => {
      if (error.code === 'ENOENT') return false;
      throw error;
    },
  );
}
