import { existsSync, readFileSync } from 'node:fs';
import { mkdtemp, readdir, readFile, rm } from 'node:fs/promises';
import { SourceMap } from 'node:module';
import type { SourceMapPayload } from 'node:module';
import { tmpdir } from 'node:os';
import { dirname, join, relative } from 'node:path';
import { fileURLToPath } from 'node:url';
import ts from 'typescript';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { buildIfStale } from './support/example-app.js';
import { packLibrary, pathsIn, readManifest } from './support/packed-package.js';
import type { Manifest, Packed } from './support/packed-package.js';

const ROOT = fileURLToPath(new URL('..', import.meta.url));
const PACKAGE = join(ROOT, 'libs/ledger');
const SOURCE = join(PACKAGE, 'src');
/** For building. */
const BUILD_LIMIT_MS = 240_000;

let folder: string;
let manifest: Manifest;
let packed: Packed;

beforeAll(async () => {
  await buildIfStale();
  manifest = await readManifest();
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

/** False for a module of types alone, of which no code is made. */
async function hasCode(name: string): Promise<boolean> {
  const compilerOptions = { module: ts.ModuleKind.ESNext, target: ts.ScriptTarget.ESNext };
  const text = await readFile(join(SOURCE, `${name}.ts`), 'utf8');
  const { outputText } = ts.transpileModule(text, {
    compilerOptions: { ...compilerOptions, removeComments: true },
  });
  return outputText.trim() !== 'export {};';
}

interface SourceMapFile {
  readonly sources: readonly string[];
  readonly sourcesContent: readonly string[];
}

describe('the tarball of nestjs-ledger', () => {
  it('holds code, types, one map for both formats, and no source and no test', async () => {
    const names = await sourceNames();
    const withCode = await Promise.all(names.map(hasCode));
    const sources = names.filter((_, index) => withCode[index]);
    expect(names.length - sources.length).toBeGreaterThan(10);
    const made = sources.flatMap((name) => {
      const isCommand = /^(cli|init|schematics)\//.test(name);
      return [`esm/${name}.js`, `esm/${name}.js.map`, ...(isCommand ? [] : [`cjs/${name}.js`])];
    });
    const assets = ['page.css', 'page.html', 'page.js', 'uPlot.LICENSE'];
    const others = [
      ...['CHANGELOG.md', 'LICENSE', 'README.md', 'package.json', 'dist/cjs/package.json'],
      'bin/nestjs-ledger.js',
      ...assets.map((name) => `dist/dashboard-assets/${name}`),
      ...['collection.json', 'nest-add.schema.json'].map((name) => `schematics/${name}`),
    ];
    const types = packed.files.filter((path) => path.endsWith('.d.ts'));
    const code = made.map((path) => `dist/${path}`);
    expect(packed.files).toEqual([...code, ...types, ...others].sort());
  });

  it('takes at most 6 MB when it is installed', () => {
    expect(packed.unpackedBytes).toBeLessThanOrEqual(6_000_000);
  });

  it('has types for what an entry point leads to, and for nothing else', () => {
    for (const format of ['esm', 'cjs']) {
      const ways = Object.values(manifest.exports).flatMap((entry) => pathsIn(entry));
      const entries = ways.filter((way) => way.startsWith(`./dist/${format}/`));
      const open = entries.filter((way) => way.endsWith('.d.ts')).map((way) => join(PACKAGE, way));
      const reached = new Set(open);
      for (const path of reached) {
        const { importedFiles } = ts.preProcessFile(readFileSync(path, 'utf8'));
        const own = importedFiles.filter(({ fileName }) => fileName.startsWith('.'));
        for (const { fileName } of own) {
          reached.add(join(dirname(path), fileName.replace(/\.js$/, '.d.ts')));
        }
      }
      const types = packed.files.filter((path) => path.startsWith(`dist/${format}/`));
      const carried = types.filter((path) => path.endsWith('.d.ts'));
      expect(carried).toEqual([...reached].map((path) => relative(PACKAGE, path)).sort());
      expect(carried.length).toBeGreaterThan(open.length);
    }
  });

  it('carries the changelog of the repository', async () => {
    const [own, root] = await Promise.all(
      ['libs/ledger/CHANGELOG.md', 'CHANGELOG.md'].map((path) =>
        readFile(join(ROOT, path), 'utf8'),
      ),
    );
    expect(own).toBe(root);
  });

  it('has each source whole in the map that its code names, in both formats', async () => {
    const code = packed.files.filter((path) => /^dist\/(esm|cjs)\/.*\.js$/.test(path));
    expect(code.length).toBeGreaterThan(400);
    for (const path of code) {
      const text = await readFile(join(PACKAGE, path), 'utf8');
      const name = /^\/\/# sourceMappingURL=(\S+)\n$/m.exec(text)?.[1] ?? 'none';
      const mapPath = join(dirname(path), name);
      expect(packed.files).toContain(mapPath);
      const map = JSON.parse(await readFile(join(PACKAGE, mapPath), 'utf8')) as SourceMapFile;
      const source = path.replace(/^dist\/(esm|cjs)/, 'src').replace(/\.js$/, '.ts');
      expect(map.sources.map((each) => join(dirname(mapPath), each))).toEqual([source]);
      expect(map.sourcesContent).toEqual([await readFile(join(PACKAGE, source), 'utf8')]);
    }
  });

  it('has code on the lines of its source, with and without a map, in both formats', async () => {
    // Errors are what line numbers are for.
    const thrown = /throw new [\w.]+\(/;
    let seen = 0;
    for (const name of await sourceNames()) {
      const source = (await readFile(join(SOURCE, `${name}.ts`), 'utf8')).split('\n');
      for (const format of ['esm', 'cjs']) {
        const path = join(PACKAGE, 'dist', format, `${name}.js`);
        if (!existsSync(path)) continue;
        const payload = join(PACKAGE, 'dist/esm', `${name}.js.map`);
        const map = new SourceMap(JSON.parse(await readFile(payload, 'utf8')) as SourceMapPayload);
        const code = await readFile(path, 'utf8');
        for (const [line, text] of code.split('\n').entries()) {
          if (!thrown.test(text)) continue;
          seen++;
          expect(source[line], `${path}:${line + 1}`).toMatch(thrown);
          const found = map.findEntry(line, text.search(/throw /));
          expect('originalLine' in found && found.originalLine, `${path}:${line + 1}`).toBe(line);
        }
      }
    }
    expect(seen).toBeGreaterThan(100);
  });

  it('carries the licence of the repository', async () => {
    const [own, root] = await Promise.all(
      ['libs/ledger/LICENSE', 'LICENSE'].map((path) => readFile(join(ROOT, path), 'utf8')),
    );
    expect(own).toBe(root);
  });
});
