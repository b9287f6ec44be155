import type { AppFiles, FileChange } from './app-files.interface.js';

/** The relevant parts of a manifest. @internal */
export interface Manifest {
  readonly type?: string;
  readonly packageManager?: string;
  readonly dependencies?: Readonly<Record<string, string>>;
}

/**
 * Packages that an application needs besides the ledger, with a range for each major version of
 * Nest. The newest versions are ES modules only, which Jest in a Nest 11 application can't load.
 */
const PEERS: readonly { readonly name: string; readonly range: (nest: number) => string }[] = [
  { name: '@nestjs/config', range: (nest) => (nest < 12 ? '^4.0.0' : '^12.0.0') },
  { name: '@nestjs/terminus', range: (nest) => (nest < 12 ? '^11.0.0' : '^12.0.0') },
  { name: 'typeorm', range: () => '^1.0.0' },
  { name: 'pg', range: () => '^8.11.0' },
];

/**
 * Packages that an application needs; npm installs some of them as peers, in any version. @internal
 */
export const NEEDED_PACKAGES: readonly string[] = [
  'nestjs-ledger',
  ...PEERS.map(({ name }) => name),
];

const MANIFEST = 'package.json';
const NEWEST_NEST = 12;

/** A package and the range that fits the application. @internal */
export interface NeededPackage {
  readonly name: string;
  readonly range: string;
}

/** Peers that are missing from the manifest. @internal */
export function missingPeers({ dependencies = {} }: Manifest): NeededPackage[] {
  const nest = majorOf(dependencies['@nestjs/core'] ?? dependencies['@nestjs/common']);
  return PEERS.filter(({ name }) => dependencies[name] === undefined).map(({ name, range }) => ({
    name,
    range: range(nest),
  }));
}

/** The first number of a range; a tag, or none, counts as the newest. */
function majorOf(range: string | undefined): number {
  const [, major] = /(\d+)/.exec(range ?? '') ?? [];
  return major === undefined ? NEWEST_NEST : Number(major);
}

/** Arguments of a package manager: `pg@8`, because `^` has a meaning in some shells. @internal */
export function asArguments(packages: readonly NeededPackage[]): string {
  return packages.map(({ name, range }) => `${name}@${majorOf(range)}`).join(' ');
}

/** Lock files by package manager. */
const LOCK_FILES = {
  'pnpm-lock.yaml': 'pnpm',
  'yarn.lock': 'yarn',
  'bun.lock': 'bun',
  'bun.lockb': 'bun',
  'package-lock.json': 'npm',
} as const;
/** In a workspace the lock file is in a parent folder. */
const LEVELS = 4;

/**
 * The application's package manager, from its manifest, else from the nearest lock file. @internal
 */
export function packageManagerOf(
  manifest: Manifest,
  hasFile: (path: string) => boolean,
): 'npm' | 'pnpm' | 'yarn' | 'bun' {
  const named = /^(npm|pnpm|yarn|bun)@/.exec(manifest.packageManager ?? '')?.[1];
  if (named !== undefined) return named as 'npm';
  for (let level = 0; level < LEVELS; level++) {
    for (const [file, manager] of Object.entries(LOCK_FILES)) {
      if (hasFile('../'.repeat(level) + file)) return manager;
    }
  }
  return 'npm';
}

/**
 * The manifest with its missing peers, in its order and indentation.
 *
 * @returns undefined if nothing is missing or the manifest can't be read
 * @internal
 */
export function addPeers(files: Pick<AppFiles, 'read'>): FileChange | undefined {
  const before = files.read(MANIFEST);
  if (before === undefined) return undefined;
  const manifest = parseManifest(before);
  const missing = missingPeers(manifest);
  if (missing.length === 0 || Object.keys(manifest).length === 0) return undefined;
  const ranges = { ...manifest.dependencies };
  for (const { name, range } of missing) ranges[name] = range;
  // npm and the others sort by code unit, whatever the language.
  const names = Object.keys(ranges).sort((a, b) => (a < b ? -1 : 1));
  const dependencies = Object.fromEntries(names.map((name) => [name, ranges[name]]));
  const indent = /^[ \t]+/m.exec(before)?.[0] ?? '  ';
  const text = JSON.stringify({ ...manifest, dependencies }, null, indent);
  return { path: MANIFEST, before, after: before.endsWith('\n') ? `${text}\n` : text };
}

/** A broken manifest is another tool's to report. @internal */
export function parseManifest(text: string | undefined): Manifest {
  try {
    return (JSON.parse(text ?? '{}') ?? {}) as Manifest;
  } catch {
    return {};
  }
}
