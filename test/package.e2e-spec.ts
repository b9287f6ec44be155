import { execFile } from 'node:child_process';
import { randomUUID } from 'node:crypto';
import { existsSync } from 'node:fs';
import { mkdtemp, readdir, readFile, rm, writeFile } from 'node:fs/promises';
import { builtinModules } from 'node:module';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import pg from 'pg';
import ts from 'typescript';
import { afterAll, beforeAll, beforeEach, describe, expect, inject, it } from 'vitest';
import { VERSION } from '../libs/ledger/src/nest/version.js';
import { APP_TSCONFIG, buildIfStale, compileProject, ExampleApp } from './support/example-app.js';
import { bothFormats } from './support/both-formats.js';
import { exampleOf } from './support/markdown.js';
import { installInEmptyApp, packLibrary, pathsIn, readManifest } from './support/packed-package.js';
import type { Manifest, Packed } from './support/packed-package.js';

const ROOT = fileURLToPath(new URL('..', import.meta.url));
const SOURCE = join(ROOT, 'libs/ledger/src');
/** For building, and for a registry that is slow. */
const INSTALL_LIMIT_MS = 240_000;
const run = promisify(execFile);

/** What applications may rely on, apart from types. */
const NAMES = [
  ['LedgerModule', 'LedgerService', 'LedgerHealthIndicator', 'LedgerInterceptor'],
  ['defineLedger', 'defaultLedger', 'newEntryUuid', 'LEDGER_PROFILES'],
  ['InjectLedger', 'getLedgerToken', 'getLedgerHealthToken', 'RecordUsage', 'Usage'],
  ['ledgerConfig', 'createLedgerConfig', 'isLedgerError'],
].flat();
const ERRORS = [
  ['Ledger', 'LedgerOptions', 'LedgerDefinition', 'LedgerEntryInvalid', 'LedgerRead'],
  ['LedgerWaitTimeout', 'LedgerSealed', 'LedgerDeadLettered', 'LedgerSpilled'],
].flat();
const SINK_NAMES = [
  ['SinkTransientError', 'SinkRowError', 'SinkHaltError'],
  ['isLedgerError'],
  ['createRowReader', 'createRowEncoder', 'rowBatch', 'describeSinkConformance'],
].flat();
const TESTING_NAMES = [
  ['LedgerTestingModule', 'ManualClock', 'describeSinkConformance'],
  ['InMemoryStream', 'describeStreamConformance'],
].flat();

let folder: string;
let manifest: Manifest;
let packed: Packed;

beforeAll(async () => {
  await buildIfStale();
  manifest = await readManifest();
  // Outside the repository, so that nothing is found in its node_modules.
  folder = await mkdtemp(join(tmpdir(), 'nestjs-ledger-package-'));
  packed = await packLibrary(folder);
}, INSTALL_LIMIT_MS);
afterAll(() => rm(folder, { recursive: true, force: true }));

describe('the manifest of nestjs-ledger', () => {
  it('declares every package that its sources import', async () => {
    const names = await readdir(SOURCE, { recursive: true });
    const imported = new Set<string>();
    for (const name of names) {
      if (!name.endsWith('.ts') || /spec\.ts$|fixtures\//.test(name)) continue;
      const { importedFiles } = ts.preProcessFile(await readFile(join(SOURCE, name), 'utf8'));
      for (const { fileName } of importedFiles) {
        if (fileName.startsWith('.') || isBuiltIn(fileName)) continue;
        imported.add(fileName.split('/', fileName.startsWith('@') ? 2 : 1).join('/'));
      }
    }
    const { dependencies, peerDependencies } = manifest;
    const declared = Object.keys({ ...dependencies, ...peerDependencies });
    expect([...imported].filter((name) => !declared.includes(name))).toEqual([]);
    expect(imported.size).toBeGreaterThan(5);
  });

  it('has at most six dependencies, for all of its entry points and its command', () => {
    expect(Object.keys(manifest.dependencies ?? {}).length).toBeLessThanOrEqual(6);
  });

  it('has a file for each command and each condition of each entry point, packed too', () => {
    const { exports, bin, main, types, typesVersions } = manifest;
    const paths = pathsIn([exports, bin, main, types, typesVersions]);
    expect(paths.length).toBeGreaterThan(4 * Object.keys(exports).length);
    for (const path of paths) {
      expect(existsSync(join(ROOT, 'libs/ledger', path)), path).toBe(true);
      expect(packed.files).toContain(path.replace('./', ''));
    }
  });

  it('has types for each condition, and for tools that know no conditions', () => {
    const entries = Object.entries(manifest.exports).filter(([name]) => !name.endsWith('.json'));
    const types: Record<string, string[]> = {};
    for (const [name, ways] of entries) {
      const { import: esm } = ways as { import: { default: string } };
      const [, folder = ''] = /^\.\/dist\/esm\/(.*)index\.js$/.exec(esm.default) ?? [];
      const of = (format: string): object => ({
        types: `./dist/${format}/${folder}index.d.ts`,
        default: `./dist/${format}/${folder}index.js`,
      });
      expect(ways).toEqual({ import: of('esm'), require: of('cjs') });
      if (name !== '.') types[name.replace('./', '')] = [`./dist/cjs/${folder}index.d.ts`];
    }
    expect(manifest.typesVersions).toEqual({ '*': types });
  });

  it('has the version that the code knows, by which its two formats find each other', () => {
    expect(VERSION).toBe(manifest.version);
  });
});

function isBuiltIn(name: string): boolean {
  return name.startsWith('node:') || builtinModules.includes(name);
}

describe('nestjs-ledger in an empty application', { timeout: 120_000 }, () => {
  let app: string;
  let isInstalled = false;

  beforeAll(async () => {
    app = join(folder, 'app');
    isInstalled = await installInEmptyApp(app, packed.tarball);
  }, INSTALL_LIMIT_MS);
  beforeEach(({ skip }) => {
    skip(!isInstalled, 'no npm registry, and no copies in the cache of npm');
  });

  /** Runs a program of one file there. @returns what it printed */
  async function runThere(name: string, code: string): Promise<string> {
    await writeFile(join(app, name), code);
    return (await run(process.execPath, [name], { cwd: app })).stdout;
  }

  it.each([
    ['import', 'mjs', 'await import'],
    ['require', 'cjs', 'require'],
  ])('exports what applications rely on (%s)', async (_way, ending, load) => {
    // The names, as Node sees them.
    const print = `(all) => console.log(JSON.stringify(Object.keys(all)))`;
    const namesOf = async (entry: string): Promise<string[]> =>
      JSON.parse(await runThere(`names.${ending}`, `(${print})(${load}('${entry}'))`)) as string[];
    const errors = ERRORS.map((name) => `${name}Error`);
    expect(await namesOf('nestjs-ledger')).toEqual(expect.arrayContaining([...NAMES, ...errors]));
    expect(await namesOf('nestjs-ledger/testing')).toEqual(expect.arrayContaining(TESTING_NAMES));
    expect(await namesOf('nestjs-ledger/sink')).toEqual(expect.arrayContaining(SINK_NAMES));
    expect(await namesOf('nestjs-ledger/advice')).toContain('adviseLedger');
    // Their optional peers are not installed here.
    await expect(namesOf('nestjs-ledger/nats')).rejects.toThrow(/@nats-io\/[a-z-]+/);
    await expect(namesOf('nestjs-ledger/kafka')).rejects.toThrow(/@platformatic\/kafka/);
    expect(await namesOf('nestjs-ledger/dashboard')).toContain('LedgerDashboardModule');
  });

  it('is one package in a process that loads both formats, whichever comes first', async () => {
    for (const [first, second] of [
      ['esm', 'cjs'],
      ['cjs', 'esm'],
    ] as const) {
      const said = await runThere('both.mjs', bothFormats(first, second));
      expect(JSON.parse(said)).toEqual({
        entries: [{ userId: '7', promptTokens: 3, memo: 'from a handler' }],
        health: 'up',
        isSameService: true,
        isKnownError: true,
        twice: expect.stringContaining('two ledgers of one application need different names'),
      });
    }
  });

  it('has its command where npx finds it', async () => {
    const { stdout } = await run(join(app, 'node_modules/.bin/nestjs-ledger'), ['--help']);
    expect(stdout).toMatch(/replay.*verify/s);
  });

  it('compiles the example of its README, records, and drains on SIGTERM', async () => {
    const page = await readFile(join(app, 'node_modules/nestjs-ledger/README.md'), 'utf8');
    await writeFile(join(app, 'main.ts'), exampleOf(page, 'integration'));
    await writeFile(join(app, 'tsconfig.json'), JSON.stringify(APP_TSCONFIG));
    await compileProject(app);
    const schema = `packed_${randomUUID().slice(0, 8)}`;
    const admin = new pg.Client({ connectionString: inject('databaseUrl') });
    await admin.connect();
    await admin.query(`CREATE SCHEMA ${schema}`);
    const example = await ExampleApp.start(app, 'dist/main.js', {
      LEDGER_DATABASE_URL: `${inject('databaseUrl')}?options=-csearch_path%3D${schema}`,
      // So that nothing but the drain writes.
      LEDGER_ASYNC_FLUSH_MS: '3600000',
    });
    try {
      const response = await fetch(`${example.url}/answers`, {
        method: 'POST',
        headers: { 'content-type': 'application/json' },
        body: JSON.stringify({ user: 9007199254740991, text: 'from a tarball' }),
      });
      expect(response.status).toBe(201);
      expect(await example.terminate()).toContain('drained: 1 written, 0 duplicate');
      const { rows } = await admin.query(`SELECT * FROM ${schema}.usage_entries`);
      expect(rows).toEqual([
        expect.objectContaining({ user_id: '9007199254740991', prompt_tokens: 3 }),
      ]);
    } finally {
      await example.kill();
      await admin.query(`DROP SCHEMA ${schema} CASCADE`);
      await admin.end();
    }
  });
});
