import { mkdtemp, readdir, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { buildIfStale } from './support/example-app.js';
import { packLibrary } from './support/packed-package.js';
import type { Packed } from './support/packed-package.js';

const ROOT = fileURLToPath(new URL('..', import.meta.url));
const PACKAGE = join(ROOT, 'libs/ledger');
const SOURCE = join(PACKAGE, 'src');
/** For building. */
const BUILD_LIMIT_MS = 240_000;

let folder: string;
let packed: Packed;

beforeAll(async () => {
  await buildIfStale();
  folder = await mkdtemp(join(tmpdir(), 'nestjs-ledger-tarball-'));
  packed = await packLibrary(folder);
}, BUILD_LIMIT_MS);
afterAll(() => rm(folder, { recursive: true, force: true }));

/** Every source that is published, as a path without its ending. */
async function sourceNames(): Promise<string[]> {
  const names = await readdir(SOURCE, { recursive: true });
  const isPublished = (name: string): boolean =>
    name.endsWith('.ts') && !/spec\.ts$|fixtures\//.test(name);
  return names.filter(isPublished).map((name) => name.replace(/\.ts$/, ''));
}

describe('the tarball of nestjs-ledger', () => {
  it('holds code and types of both formats, and no source, no map and no test', async () => {
    const names = await sourceNames();
    const isCommand = (name: string): boolean => name.startsWith('cli/');
    const made = names.flatMap((name) => [
      ...[`esm/${name}.js`, `esm/${name}.d.ts`],
      ...(isCommand(name) ? [] : [`cjs/${name}.js`, `cjs/${name}.d.ts`]),
    ]);
    const assets = ['page.css', 'page.html', 'page.js', 'uPlot.LICENSE'];
    const others = [
      ...['CHANGELOG.md', 'LICENSE', 'README.md', 'package.json', 'dist/cjs/package.json'],
      'bin/nestjs-ledger.js',
      ...assets.map((name) => `dist/dashboard-assets/${name}`),
      ...['collection.json', 'nest-add.schema.json'].map((name) => `schematics/${name}`),
    ];
    expect(packed.files).toEqual([...made.map((path) => `dist/${path}`), ...others].sort());
  });

  it('takes at most 1 MB on the way and 6 MB when it is installed', () => {
    expect(packed.packedBytes).toBeLessThanOrEqual(1_000_000);
    expect(packed.unpackedBytes).toBeLessThanOrEqual(6_000_000);
  });

  it('carries the changelog of the repository', async () => {
    const [own, root] = await Promise.all(
      ['libs/ledger/CHANGELOG.md', 'CHANGELOG.md'].map((path) =>
        readFile(join(ROOT, path), 'utf8'),
      ),
    );
    expect(own).toBe(root);
  });

  it('carries the licence of the repository', async () => {
    const [own, root] = await Promise.all(
      ['libs/ledger/LICENSE', 'LICENSE'].map((path) => readFile(join(ROOT, path), 'utf8')),
    );
    expect(own).toBe(root);
  });
});
