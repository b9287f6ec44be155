import { execFile } from 'node:child_process';
import { mkdir, readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';

const ROOT = fileURLToPath(new URL('../..', import.meta.url));
const LIBRARY = 'libs/ledger';
const INSTALL_LIMIT_MS = 180_000;
/** What npm and Node say when there is no way to a registry and the cache has no copy. */
const NO_REGISTRY = /ENOTCACHED|ENOTFOUND|EAI_AGAIN|ECONNREFUSED|ECONNRESET|ETIMEDOUT|ENETUNREACH/;
/** What a lockfile says of a package's place in one application. */
const FLAGS = ['dev', 'devOptional', 'peer'];
const run = promisify(execFile);

/** The parts of a package.json that matter here. */
export interface Manifest {
  readonly version: string;
  readonly main: string;
  readonly types: string;
  /** For each entry point what each way of loading it gets. */
  readonly exports: Readonly<Record<string, unknown>>;
  /** Types of entry points, for TypeScript before it knew `exports`. */
  readonly typesVersions: Readonly<Record<string, Readonly<Record<string, string[]>>>>;
  readonly bin?: Readonly<Record<string, string>>;
  readonly dependencies?: Readonly<Record<string, string>>;
  readonly peerDependencies?: Readonly<Record<string, string>>;
  readonly peerDependenciesMeta?: Readonly<Record<string, { readonly optional?: boolean }>>;
}

/** The library's package.json. */
export async function readManifest(): Promise<Manifest> {
  return JSON.parse(await readFile(join(ROOT, LIBRARY, 'package.json'), 'utf8')) as Manifest;
}

/** Every path below a part of a manifest. */
export function pathsIn(part: unknown): string[] {
  if (typeof part === 'string') return [part];
  return Object.values(part ?? {}).flatMap((each) => pathsIn(each));
}

/** What `npm pack` made. */
export interface Packed {
  readonly tarball: string;
  /** Paths in the package. */
  readonly files: readonly string[];
  /** What it takes on the way. */
  readonly packedBytes: number;
  /** What it takes once it is installed. */
  readonly unpackedBytes: number;
}

/** Packs the library as it is built. @param folder where the tarball goes */
export async function packLibrary(folder: string): Promise<Packed> {
  const options = ['--json', '--pack-destination', folder, '--ignore-scripts'];
  const { stdout } = await run('npm', ['pack', ...options], { cwd: join(ROOT, LIBRARY) });
  const answer = JSON.parse(stdout) as unknown;
  // npm 11 answers with a list, later ones with an object by package name.
  const [made] = Object.values(answer as object) as [
    { filename: string; size: number; unpackedSize: number; files: { path: string }[] },
  ];
  return {
    tarball: join(folder, made.filename),
    files: made.files.map(({ path }) => path).sort(),
    packedBytes: made.size,
    unpackedBytes: made.unpackedSize,
  };
}

/**
 * Makes an empty NestJS application with the tarball and its peers (optional ones left out), by
 * `npm ci`. Its lockfile holds the packages of this repository's, so that every one of them is in
 * npm's cache since `npm ci` here: the test is the same with and without a network, today and next
 * year. The tarball's own entry is what its manifest says, as npm would write it.
 *
 * @returns false if npm has no way to a registry and no copy of its own
 */
export async function installInEmptyApp(folder: string, tarball: string): Promise<boolean> {
  const manifest = await readManifest();
  const isRequired = ([name]: [string, string]): boolean =>
    manifest.peerDependenciesMeta?.[name]?.optional !== true;
  const app = {
    name: 'empty-app',
    version: '1.0.0',
    private: true,
    type: 'module',
    dependencies: {
      ...Object.fromEntries(Object.entries(manifest.peerDependencies ?? {}).filter(isRequired)),
      '@nestjs/platform-express': '^12.0.0',
      'nestjs-ledger': `file:${tarball}`,
    },
    devDependencies: { '@types/node': '^20.19.0' },
  };
  const { name, version } = app;
  const packages = {
    '': app,
    ...(await lockedPackages()),
    'node_modules/nestjs-ledger': {
      ...manifest,
      exports: undefined,
      devDependencies: undefined,
      resolved: `file:${tarball}`,
    },
  };
  await mkdir(folder, { recursive: true });
  await writeFile(join(folder, 'package.json'), JSON.stringify(app));
  await writeFile(
    join(folder, 'package-lock.json'),
    JSON.stringify({ name, version, lockfileVersion: 3, requires: true, packages }),
  );
  return installLocked(folder);
}

async function installLocked(folder: string): Promise<boolean> {
  // Without a network npm would try for minutes, and give up all the same.
  const options = ['--prefer-offline', '--fetch-retries=1', '--no-audit', '--no-fund'];
  const limits = { cwd: folder, timeout: INSTALL_LIMIT_MS };
  try {
    await run('npm', ['ci', ...options, '--ignore-scripts'], limits);
    return true;
  } catch (error) {
    const { stderr = '', message } = error as { stderr?: string; message: string };
    if (NO_REGISTRY.test(stderr)) return false;
    throw new Error(stderr || message, { cause: error });
  }
}

type LockedPackages = Record<string, Record<string, unknown>>;

/** Packages of this repository's lockfile, where an application has them; npm drops what it needs not. */
async function lockedPackages(): Promise<LockedPackages> {
  const text = await readFile(join(ROOT, 'package-lock.json'), 'utf8');
  const { packages } = JSON.parse(text) as { packages: LockedPackages };
  const kept: LockedPackages = {};
  for (const [path, entry] of Object.entries(packages)) {
    const isOurs = !path.includes('node_modules/') || entry['link'] === true;
    if (isOurs) continue;
    // What is a development or peer dependency here may be neither there.
    const facts = Object.entries(entry).filter(([name]) => !FLAGS.includes(name));
    kept[path.replace(`${LIBRARY}/`, 'node_modules/nestjs-ledger/')] = Object.fromEntries(facts);
  }
  return kept;
}
